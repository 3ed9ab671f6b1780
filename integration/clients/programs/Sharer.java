import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.KafkaException;

/**
 * A member of a share group as a program: sharer BOOTSTRAP GROUP MODE TOPIC. MODE is explicit or implicit. It tells what it
 * reads and how often that was delivered, does with a record what its value says (accept, release, reject, renew; other
 * values are accepted), and leaves at the end of its input.
 */
public class Sharer {
    static volatile boolean over;

    public static void main(String[] args) throws Exception {
        Properties config = Client.config(args[1]);
        String deserializer = "org.apache.kafka.common.serialization.StringDeserializer";
        config.put("key.deserializer", deserializer);
        config.put("value.deserializer", deserializer);
        config.put("group.id", args[2]);
        config.put("share.acknowledgement.mode", args[3]);
        config.put("fetch.max.wait.ms", "100");
        config.put("metadata.max.age.ms", "200");
        boolean explicit = args[3].equals("explicit");
        Thread input = new Thread(Sharer::readInput);
        input.setDaemon(true);
        input.start();
        try (var consumer = new KafkaShareConsumer<String, String>(config)) {
            consumer.subscribe(List.of(args[4]));
            while (!over) {
                ConsumerRecords<String, String> records;
                try {
                    records = consumer.poll(Duration.ofMillis(100));
                } catch (KafkaException e) {
                    tell("failed", e.toString());
                    continue;
                }
                for (ConsumerRecord<String, String> r : records) {
                    tell("read", r.value() + " " + r.deliveryCount().orElse((short) -1));
                    if (explicit) {
                        consumer.acknowledge(r, type(r.value()));
                    }
                }
                if (!records.isEmpty()) {
                    consumer.commitSync().forEach((partition, error) -> error.ifPresent(e -> tell("failed", partition + " " + e)));
                }
            }
        }
    }

    static final Map<String, Integer> renewed = new java.util.HashMap<>();

    static AcknowledgeType type(String value) {
        return switch (value.split("-")[0]) {
            case "release" -> AcknowledgeType.RELEASE;
            case "reject" -> AcknowledgeType.REJECT;
            case "renew" -> renewed.merge(value, 1, Integer::sum) == 1 ? AcknowledgeType.RENEW : AcknowledgeType.ACCEPT;
            default -> AcknowledgeType.ACCEPT;
        };
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

    static synchronized void tell(String event, String what) {
        System.out.println(Client.json("event", event, "what", what));
    }
}
