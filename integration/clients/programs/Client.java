import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** The Java client as a program: produce BOOTSTRAP TOPIC ACKS, or consume BOOTSTRAP TOPIC. */
public class Client {
    public static void main(String[] args) throws Exception {
        Properties config = config(args[1]);
        switch (args[0]) {
            case "produce" -> produce(config, args[2], args[3]);
            case "consume" -> consume(config, args[2]);
            default -> throw new IllegalArgumentException(args[0]);
        }
    }

    static Properties config(String bootstrap) {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap);
        config.put("reconnect.backoff.ms", "10");
        config.put("reconnect.backoff.max.ms", "100");
        config.put("retry.backoff.ms", "10");
        return config;
    }

    /** Sends KEY TAB VALUE of each line, and prints what became of each record. */
    static void produce(Properties config, String topic, String acks) throws Exception {
        String serializer = "org.apache.kafka.common.serialization.StringSerializer";
        config.put("key.serializer", serializer);
        config.put("value.serializer", serializer);
        config.put("enable.idempotence", acks.equals("idempotent"));
        config.put("acks", acks.equals("idempotent") ? "all" : acks);
        config.put("batch.size", "200");
        try (var producer = new KafkaProducer<String, String>(config);
                var in = new BufferedReader(new InputStreamReader(System.in))) {
            for (String line; (line = in.readLine()) != null; ) {
                String[] record = line.split("\t");
                producer.send(new ProducerRecord<>(topic, 0, record[0], record[1]), (meta, e) ->
                    System.out.println(e == null
                        ? json("key", record[0], "value", record[1], "offset", meta.offset())
                        : json("key", record[0], "value", record[1], "error", e)));
            }
        }
    }

    /** Prints the records of partition 0, up to the end it has now. */
    static void consume(Properties config, String topic) {
        String deserializer = "org.apache.kafka.common.serialization.StringDeserializer";
        config.put("key.deserializer", deserializer);
        config.put("value.deserializer", deserializer);
        config.put("enable.auto.commit", "false");
        TopicPartition partition = new TopicPartition(topic, 0);
        try (var consumer = new KafkaConsumer<String, String>(config)) {
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            while (consumer.position(partition) < end) {
                for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofSeconds(1))) {
                    System.out.println(json("key", r.key(), "value", r.value(), "offset", r.offset()));
                }
            }
        }
    }

    /** A JSON object of these names and values, in turn. */
    static String json(Object... pairs) {
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < pairs.length; i += 2) {
            Object value = pairs[i + 1];
            out.append(i == 0 ? "{" : ",").append('"').append(pairs[i]).append("\":");
            out.append(value instanceof Number ? value : quoted(value.toString()));
        }
        return out.append('}').toString();
    }

    static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n").replace("\t", "\\t") + '"';
    }
}
