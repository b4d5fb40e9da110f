// A client of leukd made from proto/ alone: one scenario of ../README.md a run.
//
//	build.sh FOLDER FILE, then FOLDER/client follow --server 127.0.0.1:50051 --expect 60
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand"
	"os"
	"sort"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	pb "leukd/v1"
)

const patience = 60 * time.Second

var (
	server      = flag.String("server", "", "host:port, or unix:PATH")
	expect      = flag.Int("expect", 0, "how many there will be")
	capture     = flag.String("capture", "", "a picture of a blast")
	ca          = flag.String("ca", "", "the CA of the server's certificate (PEM)")
	certificate = flag.String("certificate", "", "our own certificate (PEM)")
	key         = flag.String("key", "", "its key (PEM)")
	tokenFile   = flag.String("token-file", "", "a file with a token of the scope read")
	_           = flag.String("proto", "", "the folder that holds leukd/v1/*.proto; build.sh has read it")
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func must(holds bool, said ...any) {
	if !holds {
		log.Fatal(said...)
	}
}

func refused(code codes.Code, err error) {
	must(status.Code(err) == code, "not refused with ", code, ": ", err)
}

func read(path string) []byte {
	bytes, err := os.ReadFile(path)
	check(err)
	return bytes
}

func dial(options ...grpc.DialOption) *grpc.ClientConn {
	if len(options) == 0 {
		options = append(options, grpc.WithInsecure())
	}
	channel, err := grpc.Dial(*server, options...)
	check(err)
	return channel
}

func patient() context.Context {
	within, _ := context.WithTimeout(context.Background(), patience)
	return within
}

// Every result that is stored, their bytes and the number of pages that they came in.
func listed(channel *grpc.ClientConn, size uint32) (results []*pb.Result, bytes, pages int) {
	for token := ""; ; pages++ {
		request := &pb.ListResultsRequest{PageSize: size, PageToken: token}
		page, err := pb.NewResultsClient(channel).ListResults(patient(), request)
		check(err)
		results = append(results, page.Results...)
		bytes += proto.Size(page)
		if token = page.NextPageToken; token == "" {
			return results, bytes, pages + 1
		}
	}
}

// One connection: adds to seen until so many messages have come, or all, or the connection breaks.
func followOnce(seen []*pb.Result, messages int) (_ []*pb.Result, greeted bool) {
	channel := dial()
	defer channel.Close()
	request := &pb.SubscribeRequest{Start: &pb.SubscribeRequest_Earliest{Earliest: &emptypb.Empty{}}}
	if len(seen) > 0 {
		last := seen[len(seen)-1]
		after := &pb.Cursor{Epoch: last.Epoch, Sequence: last.Sequence}
		request.Start = &pb.SubscribeRequest_After{After: after}
	}
	events, err := pb.NewResultsClient(channel).Subscribe(patient(), request)
	for ; err == nil && messages > 0 && len(seen) < *expect; messages-- {
		var event *pb.Event
		if event, err = events.Recv(); err != nil {
			break
		}
		switch kind := event.Kind.(type) {
		case *pb.Event_Hello:
			greeted = true
		case *pb.Event_Result:
			must(len(seen) == 0 || kind.Result.Sequence > seen[len(seen)-1].Sequence, kind.Result)
			seen = append(seen, kind.Result)
		case *pb.Event_Heartbeat:
		default:
			log.Fatal(event)
		}
	}
	if err != nil {
		// The daemon was killed: it comes again.
		refused(codes.Unavailable, err)
		time.Sleep(100 * time.Millisecond)
	}
	return seen, greeted
}

func follow() {
	var seen []*pb.Result
	connections, until := 0, time.Now().Add(patience)
	for len(seen) < *expect {
		must(time.Now().Before(until), len(seen), " results")
		var greeted bool
		if seen, greeted = followOnce(seen, 2+rand.Intn(11)); greeted {
			connections++
		}
	}
	channel := dial()
	defer channel.Close()
	health := grpc_health_v1.NewHealthClient(channel)
	answer, err := health.Check(patient(), &grpc_health_v1.HealthCheckRequest{Service: "leukd.v1.Results"})
	check(err)
	must(answer.Status == grpc_health_v1.HealthCheckResponse_SERVING, answer)
	stored, _, _ := listed(channel, 17)
	must(len(stored) == len(seen), len(stored), " stored, ", len(seen), " seen")
	for at, result := range stored {
		// A listing tells how each result stands now, a stream does not.
		must(result.Standing != nil, result)
		result.Standing = nil
		must(proto.Equal(result, seen[at]), result, seen[at])
	}
	must(connections > 1, "the connection never broke")
	future := &pb.Cursor{Epoch: seen[0].Epoch, Sequence: 1 << 40}
	request := &pb.SubscribeRequest{Start: &pb.SubscribeRequest_After{After: future}}
	events, err := pb.NewResultsClient(channel).Subscribe(patient(), request)
	check(err)
	_, err = events.Recv()
	refused(codes.OutOfRange, err)
	fmt.Printf("%d results over %d connections, each just once\n", len(seen), connections)
}

func classify() {
	channel := dial()
	defer channel.Close()
	stub, image := pb.NewClassifierClient(channel), read(*capture)
	request := &pb.ClassifyRequest{Image: image, Specimen: "S-7", Slide: "1", Cell: "4"}
	first, err := stub.Classify(patient(), request)
	check(err)
	second, err := stub.Classify(patient(), request)
	check(err)
	must(proto.Equal(first.Result, second.Result) && second.Reused && !first.Reused, first, second)
	must(first.Result.Label == "all" && first.Result.Specimen == "S-7", first)
	_, err = stub.Classify(patient(), &pb.ClassifyRequest{Image: []byte("no picture")})
	refused(codes.InvalidArgument, err)
	stream, err := stub.ClassifyStream(patient())
	check(err)
	// Writes while it reads: else both sides could wait for each other.
	go func() {
		for cell := 0; cell < 40; cell++ {
			check(stream.Send(&pb.ClassifyRequest{Image: image, Specimen: "S-8", Cell: fmt.Sprint(cell)}))
		}
		check(stream.CloseSend())
	}()
	var indices []int
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			break
		}
		check(err)
		must(answer.GetClassified().GetResult().GetSpecimen() == "S-8", answer)
		indices = append(indices, int(answer.Index))
	}
	sort.Ints(indices)
	must(len(indices) == 40 && indices[0] == 0 && indices[39] == 39, indices)
	fmt.Println("classified, one by one and in a stream")
}

func secure(certificates ...tls.Certificate) *grpc.ClientConn {
	trusted := x509.NewCertPool()
	must(trusted.AppendCertsFromPEM(read(*ca)), "no certificate in ", *ca)
	config := &tls.Config{RootCAs: trusted, Certificates: certificates}
	return dial(grpc.WithTransportCredentials(credentials.NewTLS(config)))
}

func statusOf(channel *grpc.ClientConn, within context.Context) (*pb.GetStatusResponse, error) {
	return pb.NewControlClient(channel).GetStatus(within, &pb.GetStatusRequest{})
}

func token() {
	channel := secure()
	defer channel.Close()
	shown := func(token string) context.Context {
		return metadata.AppendToOutgoingContext(patient(), "authorization", "Bearer "+token)
	}
	own := strings.TrimSpace(string(read(*tokenFile)))
	answer, err := statusOf(channel, shown(own))
	check(err)
	_, err = pb.NewControlClient(channel).ReloadModel(shown(own), &pb.ReloadModelRequest{})
	refused(codes.PermissionDenied, err)
	for _, stranger := range []context.Context{patient(), shown("leukd_of_another_laboratory")} {
		_, err = statusOf(channel, stranger)
		refused(codes.Unauthenticated, err)
	}
	fmt.Printf("leukd %s over TLS, with a token that reads\n", answer.Version)
}

func ownCertificate() {
	own, err := tls.LoadX509KeyPair(*certificate, *key)
	check(err)
	channel := secure(own)
	defer channel.Close()
	answer, err := statusOf(channel, patient())
	check(err)
	nobody := secure()
	defer nobody.Close()
	_, err = statusOf(nobody, patient())
	refused(codes.Unavailable, err)
	fmt.Printf("leukd %s over TLS, with a certificate of our own\n", answer.Version)
}

func pages() {
	channel := dial()
	defer channel.Close()
	results, bytes, pages := listed(channel, 1000)
	must(len(results) == *expect, len(results))
	for at, result := range results {
		must(result.Sequence == uint64(at)+1, result)
	}
	must(bytes > 4<<20 && pages > 1, bytes, pages)
	fmt.Printf("%d bytes in %d pages\n", bytes, pages)
}

func streams() {
	channel := dial()
	defer channel.Close()
	greeted := 0
	request := &pb.SubscribeRequest{Start: &pb.SubscribeRequest_Earliest{Earliest: &emptypb.Empty{}}}
	for number := 0; number < 130; number++ {
		events, err := pb.NewResultsClient(channel).Subscribe(patient(), request)
		check(err)
		event, err := events.Recv()
		if err != nil {
			refused(codes.ResourceExhausted, err)
			continue
		}
		must(event.GetHello() != nil, event)
		greeted++
	}
	must(greeted == *expect, greeted)
	_, err := statusOf(channel, patient())
	check(err)
	fmt.Printf("%d streams of 130, and short calls beside them\n", greeted)
}

func main() {
	scenarios := map[string]func(){
		"follow": follow, "classify": classify, "token": token,
		"certificate": ownCertificate, "pages": pages, "streams": streams,
	}
	must(len(os.Args) > 1, "a scenario, then its flags")
	scenario := scenarios[os.Args[1]]
	must(scenario != nil, "no scenario ", os.Args[1])
	check(flag.CommandLine.Parse(os.Args[2:]))
	scenario()
}
