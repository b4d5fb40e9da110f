// A client of leukd made from proto/ alone: one scenario of ../README.md a run.
//
//     build.sh FOLDER Suite.java, then java -cp CLASSPATH Suite follow --server 127.0.0.1:50051 --expect 60

import com.google.protobuf.ByteString;
import com.google.protobuf.Empty;
import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.StreamObserver;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import leukd.v1.ClassifierGrpc;
import leukd.v1.ClassifierOuterClass.ClassifyRequest;
import leukd.v1.ClassifierOuterClass.ClassifyStreamResponse;
import leukd.v1.ControlGrpc;
import leukd.v1.ControlOuterClass.GetStatusRequest;
import leukd.v1.ControlOuterClass.GetStatusResponse;
import leukd.v1.ControlOuterClass.ReloadModelRequest;
import leukd.v1.ResultOuterClass.Result;
import leukd.v1.ResultsGrpc;
import leukd.v1.ResultsOuterClass.Cursor;
import leukd.v1.ResultsOuterClass.Event;
import leukd.v1.ResultsOuterClass.ListResultsRequest;
import leukd.v1.ResultsOuterClass.ListResultsResponse;
import leukd.v1.ResultsOuterClass.SubscribeRequest;

public class Suite {
    static final long PATIENCE = 60;
    static final Map<String, String> given = new HashMap<>();

    interface Call {
        void run() throws Exception;
    }

    static void must(boolean holds, Object said) {
        if (!holds) throw new AssertionError(said);
    }

    static void refused(Status.Code code, Call call) throws Exception {
        try {
            call.run();
        } catch (StatusRuntimeException error) {
            must(error.getStatus().getCode() == code, error);
            return;
        }
        throw new AssertionError("answered, not refused with " + code);
    }

    static int expected() {
        return Integer.parseInt(given.get("expect"));
    }

    static ManagedChannel dial(ChannelCredentials credentials) {
        return Grpc.newChannelBuilder(given.get("server"), credentials).build();
    }

    static ManagedChannel dial() {
        return dial(InsecureChannelCredentials.create());
    }

    static <S extends AbstractStub<S>> S patient(S stub) {
        return stub.withDeadlineAfter(PATIENCE, TimeUnit.SECONDS);
    }

    static ResultsGrpc.ResultsBlockingStub results(ManagedChannel channel) {
        return patient(ResultsGrpc.newBlockingStub(channel));
    }

    /** Every result that is stored, and the sizes of the pages that they came in. */
    static List<Result> listed(ManagedChannel channel, int size, List<Integer> pages) {
        List<Result> found = new ArrayList<>();
        String token = "";
        do {
            ListResultsResponse page = results(channel).listResults(
                ListResultsRequest.newBuilder().setPageSize(size).setPageToken(token).build());
            found.addAll(page.getResultsList());
            pages.add(page.getSerializedSize());
            token = page.getNextPageToken();
        } while (!token.isEmpty());
        return found;
    }

    /** One connection: adds to seen until so many messages have come, or all, or it breaks. */
    static boolean followOnce(List<Result> seen, int messages) throws Exception {
        ManagedChannel channel = dial();
        boolean greeted = false;
        SubscribeRequest.Builder request = SubscribeRequest.newBuilder();
        if (seen.isEmpty()) {
            request.setEarliest(Empty.getDefaultInstance());
        } else {
            Result last = seen.get(seen.size() - 1);
            request.setAfter(Cursor.newBuilder().setEpoch(last.getEpoch()).setSequence(last.getSequence()));
        }
        try {
            Iterator<Event> events = results(channel).subscribe(request.build());
            while (messages-- > 0 && seen.size() < expected() && events.hasNext()) {
                Event event = events.next();
                switch (event.getKindCase()) {
                    case HELLO -> greeted = true;
                    case RESULT -> {
                        long before = seen.isEmpty() ? 0 : seen.get(seen.size() - 1).getSequence();
                        must(event.getResult().getSequence() > before, event);
                        seen.add(event.getResult());
                    }
                    case HEARTBEAT -> {}
                    default -> throw new AssertionError(event);
                }
            }
        } catch (StatusRuntimeException error) {
            // The daemon was killed: it comes again.
            must(error.getStatus().getCode() == Status.Code.UNAVAILABLE, error);
            Thread.sleep(100);
        } finally {
            channel.shutdownNow();
        }
        return greeted;
    }

    static void follow() throws Exception {
        List<Result> seen = new ArrayList<>();
        int connections = 0;
        Random dice = new Random();
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE);
        while (seen.size() < expected()) {
            must(System.nanoTime() < until, seen.size() + " results");
            if (followOnce(seen, 2 + dice.nextInt(11))) connections++;
        }
        ManagedChannel channel = dial();
        List<Result> stored = new ArrayList<>();
        for (Result result : listed(channel, 17, new ArrayList<>())) {
            // A listing tells how each result stands now, a stream does not.
            must(result.hasStanding(), result);
            stored.add(result.toBuilder().clearStanding().build());
        }
        must(stored.equals(seen), "stored is not what was seen");
        must(connections > 1, "the connection never broke");
        Cursor future = Cursor.newBuilder().setEpoch(seen.get(0).getEpoch()).setSequence(1L << 40).build();
        refused(Status.Code.OUT_OF_RANGE,
            () -> results(channel).subscribe(SubscribeRequest.newBuilder().setAfter(future).build()).next());
        channel.shutdownNow();
        System.out.println(seen.size() + " results over " + connections + " connections, each just once");
    }

    static void classify() throws Exception {
        ManagedChannel channel = dial();
        ClassifierGrpc.ClassifierBlockingStub stub = patient(ClassifierGrpc.newBlockingStub(channel));
        ByteString image = ByteString.copyFrom(Files.readAllBytes(Path.of(given.get("capture"))));
        ClassifyRequest request = ClassifyRequest.newBuilder().setImage(image)
            .setSpecimen("S-7").setSlide("1").setCell("4").build();
        var first = stub.classify(request);
        var second = stub.classify(request);
        must(first.getResult().equals(second.getResult()) && second.getReused() && !first.getReused(), second);
        must(first.getResult().getLabel().equals("all"), first);
        must(first.getResult().getSpecimen().equals("S-7"), first);
        refused(Status.Code.INVALID_ARGUMENT, () -> stub.classify(
            ClassifyRequest.newBuilder().setImage(ByteString.copyFromUtf8("no picture")).build()));
        TreeSet<Long> indices = new TreeSet<>();
        CompletableFuture<Void> ended = new CompletableFuture<>();
        StreamObserver<ClassifyRequest> cells = patient(ClassifierGrpc.newStub(channel)).classifyStream(
            new StreamObserver<ClassifyStreamResponse>() {
                @Override public void onNext(ClassifyStreamResponse answer) {
                    boolean is = answer.getClassified().getResult().getSpecimen().equals("S-8");
                    if (!is || !indices.add(Integer.toUnsignedLong((int) answer.getIndex()))) {
                        ended.completeExceptionally(new AssertionError(answer));
                    }
                }
                @Override public void onError(Throwable error) { ended.completeExceptionally(error); }
                @Override public void onCompleted() { ended.complete(null); }
            });
        for (int cell = 0; cell < 40; cell++) {
            cells.onNext(ClassifyRequest.newBuilder().setImage(image).setSpecimen("S-8").setCell("" + cell).build());
        }
        cells.onCompleted();
        ended.get(PATIENCE, TimeUnit.SECONDS);
        must(indices.size() == 40 && indices.first() == 0 && indices.last() == 39, indices);
        channel.shutdownNow();
        System.out.println("classified, one by one and in a stream");
    }

    /** What shows a token with each call. */
    static CallCredentials shown(String token) {
        return new CallCredentials() {
            @Override public void applyRequestMetadata(RequestInfo call, Executor on, MetadataApplier applier) {
                Metadata metadata = new Metadata();
                Metadata.Key<String> key = Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
                metadata.put(key, "Bearer " + token);
                applier.apply(metadata);
            }
            @Override public void thisUsesUnstableApi() {}
        };
    }

    static TlsChannelCredentials.Builder tls() throws Exception {
        return TlsChannelCredentials.newBuilder().trustManager(new File(given.get("ca")));
    }

    static ControlGrpc.ControlBlockingStub control(ManagedChannel channel) {
        return patient(ControlGrpc.newBlockingStub(channel));
    }

    static GetStatusResponse statusOf(ControlGrpc.ControlBlockingStub control) {
        return control.getStatus(GetStatusRequest.getDefaultInstance());
    }

    static void token() throws Exception {
        ManagedChannel channel = dial(tls().build());
        var own = control(channel).withCallCredentials(shown(Files.readString(Path.of(given.get("token-file"))).trim()));
        String version = statusOf(own).getVersion();
        refused(Status.Code.PERMISSION_DENIED, () -> own.reloadModel(ReloadModelRequest.getDefaultInstance()));
        refused(Status.Code.UNAUTHENTICATED, () -> statusOf(control(channel)));
        var stranger = control(channel).withCallCredentials(shown("leukd_of_another_laboratory"));
        refused(Status.Code.UNAUTHENTICATED, () -> statusOf(stranger));
        channel.shutdownNow();
        System.out.println("leukd " + version + " over TLS, with a token that reads");
    }

    static void certificate() throws Exception {
        File[] pair = {new File(given.get("certificate")), new File(given.get("key"))};
        ManagedChannel channel = dial(tls().keyManager(pair[0], pair[1]).build());
        String version = statusOf(control(channel)).getVersion();
        ManagedChannel nobody = dial(tls().build());
        refused(Status.Code.UNAVAILABLE, () -> statusOf(control(nobody)));
        channel.shutdownNow();
        nobody.shutdownNow();
        System.out.println("leukd " + version + " over TLS, with a certificate of our own");
    }

    static void pages() {
        ManagedChannel channel = dial();
        List<Integer> pages = new ArrayList<>();
        List<Result> found = listed(channel, 1000, pages);
        must(found.size() == expected(), found.size());
        for (int at = 0; at < found.size(); at++) must(found.get(at).getSequence() == at + 1, found.get(at));
        int bytes = pages.stream().mapToInt(Integer::intValue).sum();
        must(bytes > 4 << 20 && pages.size() > 1, bytes + " bytes");
        channel.shutdownNow();
        System.out.println(bytes + " bytes in " + pages.size() + " pages");
    }

    static void streams() {
        ManagedChannel channel = dial();
        SubscribeRequest request = SubscribeRequest.newBuilder().setEarliest(Empty.getDefaultInstance()).build();
        int greeted = 0;
        List<Iterator<Event>> held = new ArrayList<>();
        for (int number = 0; number < 130; number++) {
            Iterator<Event> events = results(channel).subscribe(request);
            held.add(events);
            try {
                must(events.next().hasHello(), "no greeting");
                greeted++;
            } catch (StatusRuntimeException error) {
                must(error.getStatus().getCode() == Status.Code.RESOURCE_EXHAUSTED, error);
            }
        }
        must(greeted == expected(), greeted);
        statusOf(control(channel));
        must(held.size() == 130, held.size());
        channel.shutdownNow();
        System.out.println(greeted + " streams of 130, and short calls beside them");
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, Call> scenarios = Map.of("follow", Suite::follow, "classify", Suite::classify,
            "token", Suite::token, "certificate", Suite::certificate, "pages", Suite::pages, "streams", Suite::streams);
        for (int at = 1; at + 1 < arguments.length; at += 2) {
            given.put(arguments[at].substring(2), arguments[at + 1]);
        }
        try {
            scenarios.get(arguments[0]).run();
            System.exit(0);
        } catch (Throwable error) {
            error.printStackTrace();
            System.exit(1);
        }
    }
}
