import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.protocol.Errors;

/**
 * The Java administrator as a program: admin BOOTSTRAP does what each line asks for, and prints the answer or Kafka's error
 * code.
 */
public class Administrator {
    private final Admin admin;

    private Administrator(Admin admin) {
        this.admin = admin;
    }

    public static void main(String[] args) throws Exception {
        try (var admin = Admin.create(Client.config(args[1]));
                var in = new BufferedReader(new InputStreamReader(System.in))) {
            var administrator = new Administrator(admin);
            for (String line; (line = in.readLine()) != null; ) {
                String result;
                try {
                    result = administrator.answer(line.split(" "));
                } catch (ExecutionException e) {
                    result = "error " + Errors.forException(e.getCause()).code();
                }
                System.out.println(Client.json("result", result));
            }
        }
    }

    private String answer(String[] a) throws Exception {
        return switch (a[0]) {
            case "cluster" -> cluster();
            case "topics" -> String.join(",", new TreeSet<>(admin.listTopics().names().get()));
            case "create" -> {
                Map<String, String> configs = new HashMap<>();
                for (int i = 4; i < a.length; i++) {
                    configs.put(a[i].split("=")[0], a[i].split("=")[1]);
                }
                var topic = new NewTopic(a[1], Integer.parseInt(a[2]), Short.parseShort(a[3])).configs(configs);
                admin.createTopics(List.of(topic)).all().get();
                yield "ok";
            }
            case "topic" -> topic(a[1]);
            case "config" -> config(a[1], a[2], a[3]);
            case "alter" -> {
                var resource = new ConfigResource(ConfigResource.Type.TOPIC, a[1]);
                var entry = new ConfigEntry(a[2].split("=")[0], a[2].split("=")[1]);
                admin.incrementalAlterConfigs(
                    Map.of(resource, List.of(new AlterConfigOp(entry, AlterConfigOp.OpType.SET)))).all().get();
                yield "ok";
            }
            case "partitions" -> {
                admin.createPartitions(Map.of(a[1], NewPartitions.increaseTo(Integer.parseInt(a[2])))).all().get();
                yield "ok";
            }
            case "offsets" -> offset(a[1], OffsetSpec.earliest()) + " " + offset(a[1], OffsetSpec.latest());
            case "trim" -> {
                var partition = new TopicPartition(a[1], 0);
                var before = RecordsToDelete.beforeOffset(Long.parseLong(a[2]));
                yield "" + admin.deleteRecords(Map.of(partition, before)).lowWatermarks().get(partition).get().lowWatermark();
            }
            case "delete" -> {
                admin.deleteTopics(List.of(a[1])).all().get();
                yield "ok";
            }
            default -> throw new IllegalArgumentException(a[0]);
        };
    }

    private String cluster() throws Exception {
        var told = admin.describeCluster();
        return told.clusterId().get() + " "
            + told.nodes().get().stream().map(n -> n.idString()).sorted().collect(Collectors.joining(","));
    }

    private String topic(String name) throws Exception {
        return admin.describeTopics(List.of(name)).allTopicNames().get().get(name).partitions().stream()
            .map(p -> p.partition() + ":" + p.replicas().size() + "/" + p.isr().size()).collect(Collectors.joining(" "));
    }

    private String config(String type, String name, String key) throws Exception {
        var resource = new ConfigResource(ConfigResource.Type.valueOf(type.toUpperCase()), name);
        ConfigEntry entry = admin.describeConfigs(List.of(resource)).all().get().get(resource).get(key);
        return entry.value() + " " + entry.source();
    }

    private long offset(String topic, OffsetSpec spec) throws Exception {
        var partition = new TopicPartition(topic, 0);
        return admin.listOffsets(Map.of(partition, spec)).partitionResult(partition).get().offset();
    }
}
