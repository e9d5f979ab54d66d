import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.net.InetSocketAddress;
import java.util.List;

/** Serves MongoDB's wire protocol from memory on a free port of 127.0.0.1; ends when its standard input closes. */
final class Main {
    /** Drivers of today refuse the versions that the library knows by itself. */
    private static final class Version implements MongoVersion {
        @Override
        public List<Integer> getVersionArray() {
            return List.of(4, 4, 0);
        }

        @Override
        public int getWireVersion() {
            return 9;
        }
    }

    private Main() {
    }

    public static void main(String[] arguments) throws Exception {
        int port = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 0;
        MongoServer server = new MongoServer(new MemoryBackend().version(new Version()));
        server.bind(new InetSocketAddress("127.0.0.1", port));
        System.out.println(server.getLocalAddress().getPort());
        System.out.flush();
        while (System.in.read() >= 0) {
            continue;
        }
        server.shutdownNow();
        System.exit(0);
    }
}
