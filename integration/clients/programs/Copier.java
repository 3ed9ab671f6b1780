import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;

/**
 * A transactional producer as a program: copy BOOTSTRAP FROM TO COUNT GROUP ID, which does what each line says (commit N,
 * abort N, open N, end) and tells what came of it; or committed BOOTSTRAP TOPIC END, which reads with read_committed.
 */
public class Copier {
    static final int PARTITIONS = 2;

    final Properties config;
    final String from;
    final String to;
    final int count;
    final String group;
    final KafkaProducer<String, String> producer;
    KafkaConsumer<String, String> consumer;
    final Deque<ConsumerRecord<String, String>> read = new ArrayDeque<>();
    /** What is in the transaction. */
    final List<ConsumerRecord<String, String>> taken = new ArrayList<>();
    int left;

    public static void main(String[] args) throws Exception {
        if (args[0].equals("committed")) {
            committed(args[1], args[2], args[3]);
            return;
        }
        new Copier(args).run();
    }

    Copier(String[] args) {
        config = Client.config(args[1]);
        from = args[2];
        to = args[3];
        count = Integer.parseInt(args[4]);
        group = args[5];
        String serializer = "org.apache.kafka.common.serialization.StringSerializer";
        config.put("key.serializer", serializer);
        config.put("value.serializer", serializer);
        config.put("transactional.id", args[6]);
        producer = new KafkaProducer<>(config);
        producer.initTransactions();
        restart();
    }

    static KafkaConsumer<String, String> consumer(String bootstrap, String group) {
        Properties config = Client.config(bootstrap);
        String deserializer = "org.apache.kafka.common.serialization.StringDeserializer";
        config.put("key.deserializer", deserializer);
        config.put("value.deserializer", deserializer);
        config.put("enable.auto.commit", "false");
        config.put("auto.offset.reset", "earliest");
        config.put("isolation.level", "read_committed");
        config.put("fetch.max.wait.ms", "100");
        config.put("group.id", group);
        return new KafkaConsumer<>(config);
    }

    static List<TopicPartition> partitions(String topic) {
        List<TopicPartition> all = new ArrayList<>();
        for (int i = 0; i < PARTITIONS; i++) {
            all.add(new TopicPartition(topic, i));
        }
        return all;
    }

    /** Goes on from what is committed. */
    void restart() {
        if (consumer != null) {
            consumer.close();
        }
        read.clear();
        taken.clear();
        consumer = consumer(config.getProperty("bootstrap.servers"), group);
        consumer.assign(partitions(from));
        left = 0;
        for (TopicPartition p : partitions(from)) {
            left += count - (int) consumer.position(p);
        }
    }

    void run() throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            String[] words = line.split(" ");
            String event = "done";
            String what = "";
            try {
                switch (words[0]) {
                    case "commit" -> { open(Integer.parseInt(words[1])); end(); }
                    case "abort" -> { open(Integer.parseInt(words[1])); abort(); }
                    case "open" -> open(Integer.parseInt(words[1]));
                    case "end" -> end();
                    default -> throw new IllegalArgumentException(line);
                }
            } catch (Exception e) {
                e.printStackTrace();
                event = fenced(e) ? "fenced" : "failed";
                what = e.toString();
            }
            if (event.equals("failed")) {
                try {
                    producer.abortTransaction();
                    restart();
                } catch (Exception e) {
                    e.printStackTrace();
                    event = fenced(e) ? "fenced" : "failed";
                    what += ", and then " + e;
                }
            }
            System.out.println(Client.json("event", event, "what", what));
        }
        consumer.close();
        producer.close();
    }

    static boolean fenced(Throwable e) {
        for (; e != null; e = e.getCause()) {
            // Older clients do not have the second.
            if (e instanceof ProducerFencedException || e.getClass().getSimpleName().equals("InvalidProducerEpochException")) {
                return true;
            }
        }
        return false;
    }

    /** Writes the next records, with their offsets. */
    void open(int n) throws Exception {
        producer.beginTransaction();
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (int i = Math.min(n, left); i > 0; i--) {
            while (read.isEmpty()) {
                consumer.poll(Duration.ofMillis(100)).forEach(read::add);
            }
            ConsumerRecord<String, String> r = read.remove();
            taken.add(r);
            producer.send(new ProducerRecord<>(to, r.partition(), r.key(), r.value()));
            offsets.put(new TopicPartition(from, r.partition()), new OffsetAndMetadata(r.offset() + 1));
        }
        producer.flush();
        sendOffsets(offsets);
    }

    /** The method has changed: older clients take the group's id, newer ones what the consumer knows of the group. */
    void sendOffsets(Map<TopicPartition, OffsetAndMetadata> offsets) throws Exception {
        Object about = group;
        Class<?> type = String.class;
        try {
            about = KafkaConsumer.class.getMethod("groupMetadata").invoke(consumer);
            type = Class.forName("org.apache.kafka.clients.consumer.ConsumerGroupMetadata");
        } catch (NoSuchMethodException e) {
            // An older client.
        }
        try {
            KafkaProducer.class.getMethod("sendOffsetsToTransaction", Map.class, type).invoke(producer, offsets, about);
        } catch (InvocationTargetException e) {
            throw (Exception) e.getCause();
        }
    }

    void end() {
        producer.commitTransaction();
        left -= taken.size();
        taken.clear();
    }

    void abort() {
        producer.abortTransaction();
        Collections.reverse(taken);
        taken.forEach(read::addFirst);
        taken.clear();
    }

    static void committed(String bootstrap, String topic, String end) {
        try (var consumer = consumer(bootstrap, "none")) {
            consumer.assign(partitions(topic));
            for (int ends = 0; ends < PARTITIONS; ) {
                for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofSeconds(1))) {
                    System.out.println(Client.json("partition", r.partition(), "value", r.value()));
                    ends += r.value().equals(end) ? 1 : 0;
                }
            }
        }
    }
}
