import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/**
 * A member of a group as a program: member BOOTSTRAP GROUP PROTOCOL TOPIC [INSTANCE]. A topic that begins with ^ is a pattern.
 * It tells what it is given, what is taken from it and what it reads, and leaves at the end of its input.
 */
public class Member {
    static volatile boolean over;

    public static void main(String[] args) throws Exception {
        Properties config = Client.config(args[1]);
        String deserializer = "org.apache.kafka.common.serialization.StringDeserializer";
        config.put("key.deserializer", deserializer);
        config.put("value.deserializer", deserializer);
        config.put("group.id", args[2]);
        config.put("group.protocol", args[3]);
        config.put("enable.auto.commit", "false");
        config.put("auto.offset.reset", "earliest");
        config.put("fetch.max.wait.ms", "100");
        config.put("metadata.max.age.ms", "200");
        if (args[3].equals("classic")) {
            config.put("heartbeat.interval.ms", "100");
        }
        if (args.length > 5) {
            config.put("group.instance.id", args[5]);
        }
        Thread input = new Thread(Member::readInput);
        input.setDaemon(true);
        input.start();
        try (var consumer = new KafkaConsumer<String, String>(config)) {
            if (args[4].startsWith("^")) {
                consumer.subscribe(new SubscriptionPattern(args[4].substring(1)), new Listener());
            } else {
                consumer.subscribe(List.of(args[4]), new Listener());
            }
            while (!over) {
                var records = consumer.poll(Duration.ofMillis(100));
                for (ConsumerRecord<String, String> r : records) {
                    tell("read", r.value());
                }
                if (!records.isEmpty()) {
                    commit(consumer);
                }
            }
        }
    }

    static void readInput() {
        try {
            while (System.in.read() >= 0) {
                // What is said does not matter.
            }
        } catch (java.io.IOException e) {
            // That is the end, too.
        }
        over = true;
    }

    static void commit(KafkaConsumer<String, String> consumer) {
        try {
            consumer.commitSync();
        } catch (KafkaException e) {
            tell("failed", e.toString());
        }
    }

    static synchronized void tell(String event, String what) {
        System.out.println(Client.json("event", event, "what", what));
    }

    static class Listener implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            tell("assigned", names(partitions));
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            tell("revoked", names(partitions));
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> partitions) {
            tell("lost", names(partitions));
        }

        static String names(Collection<TopicPartition> partitions) {
            return partitions.stream().map(TopicPartition::toString).sorted().collect(Collectors.joining(" "));
        }
    }
}
