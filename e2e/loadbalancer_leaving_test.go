package e2e

import (
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"golang.org/x/net/websocket"
)

// manyLeave is how many clients leave: more than get a 4XX for any other reason.
const manyLeave = 120

// clientsLeave has clients leave before the answer: ALB's 460, which nobody is
// answered, and which its metric counts in the end. They leave when the targets
// have their requests.
func (f *front) clientsLeave() {
	before := served("hang").Load()
	for range manyLeave {
		conn, err := net.Dial("tcp", f.alb+":8080")
		f.must(err)
		defer conn.Close()
		_, err = io.WriteString(conn, "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
		f.must(err)
	}
	f.soon("the requests at the targets", func() bool { return served("hang").Load() >= before+manyLeave })
}

// drains deregisters a target that has a request under way and a WebSocket: the
// request is answered, the WebSocket lives until the delay is over, and nothing
// new comes.
func (f *front) drains() {
	type answer struct {
		text string
		err  error
	}
	const slow = 4 // some of them at the target that goes
	answers := make(chan answer, slow)
	for range slow {
		go func() {
			out, err := f.run("curl", "-sS", "--max-time", "120", "-w", " %{http_code}", "http://"+f.alb+":8080/slow")
			answers <- answer{out, err}
		}()
	}
	ask := func(ws *websocket.Conn) (who string, err error) {
		if err := websocket.Message.Send(ws, "who"); err != nil {
			return "", err
		}
		err = websocket.Message.Receive(ws, &who)
		return who, err
	}
	var sockets []*websocket.Conn
	mine := -1
	for n := 0; mine < 0; n++ {
		ws := f.dialWebSocket()
		defer ws.Close()
		who, err := ask(ws)
		f.must(err)
		if sockets = append(sockets, ws); who == "one" {
			mine = n
		}
	}
	time.Sleep(300 * time.Millisecond) // the requests are under way, most likely
	began := time.Now()
	gone := []elbtypes.TargetDescription{{Id: &f.targets[0]}}
	group := f.groups["plain"]
	_, err := f.elb.DeregisterTargets(f.Context(), &elb.DeregisterTargetsInput{TargetGroupArn: &group, Targets: gone})
	f.must(err)
	f.soon("no new request", func() bool {
		for range 4 {
			if !strings.HasPrefix(f.get("/"), "two ") {
				return false
			}
		}
		return true
	})
	for range slow {
		if a := <-answers; a.err != nil || !strings.HasSuffix(a.text, " 200") {
			f.Errorf("a request that was under way: %q %v", a.text, a.err)
		}
	}
	const delay = 5 * time.Second // the group's 100, paced: far more than a slow answer takes
	f.soon("the end of the WebSocket", func() bool { _, err := ask(sockets[mine]); return err != nil })
	if d := time.Since(began); d < delay {
		f.Errorf("a WebSocket was cut after %s", d)
	}
	for i, ws := range sockets {
		if i == mine {
			continue
		}
		if who, err := ask(ws); err != nil || who != "two" {
			f.Errorf("a WebSocket of another target: %q %v", who, err)
		}
	}
	_, err = f.elb.RegisterTargets(f.Context(), &elb.RegisterTargetsInput{TargetGroupArn: &group, Targets: gone})
	f.must(err)
}

// changesUnderLoad changes everything that can be changed while wrk and h2load
// ask: not one request fails and no connection is lost. They ask until enough was
// changed meanwhile, however long that takes.
func (f *front) changesUnderLoad() {
	const enough = 16
	done := make(chan struct{})
	var wait sync.WaitGroup
	var changes atomic.Int64
	for _, args := range [][]string{
		{"wrk", "-t1", "-c50", "-d4", "--timeout", "180s", "http://" + f.alb + ":8080/status/200"},
		{"h2load", "-c5", "-m10", "-D4", "https://" + f.alb + "/status/200"},
	} {
		wait.Go(func() {
			for begun := false; (!begun || changes.Load() < enough) && !f.Failed(); begun = true {
				out, err := exec.CommandContext(f.Context(), args[0], args[1:]...).CombinedOutput()
				if err != nil || !soakAsked.Match(out) || soakFailed.Match(out) {
					f.Errorf("%s: %v\n%s", strings.Join(args, " "), err, out)
				}
			}
		})
	}
	go func() { wait.Wait(); close(done) }()
	defer wait.Wait()
	for n := 0; ; n++ {
		select {
		case <-done:
			f.Logf("%d changes", changes.Load())
			return
		default:
		}
		on := strconv.FormatBool(n%2 == 0)
		f.attributes(f.lb, map[string]string{"routing.http.xff_client_port.enabled": on, "idle_timeout.timeout_seconds": strconv.Itoa(60 + n%10), "routing.http.drop_invalid_header_fields.enabled": on})
		f.attributes(f.listener, map[string]string{"routing.http.response.server.enabled": on})
		f.attributes(f.groups["plain"], map[string]string{"load_balancing.algorithm.type": []string{"round_robin", "least_outstanding_requests"}[n%2]})
		rule := f.rule(says("other"), "path-pattern=/status/201")
		l, err := f.elb.CreateListener(f.Context(), &elb.CreateListenerInput{LoadBalancerArn: &f.lb, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(8090), DefaultActions: []elbtypes.Action{says("new")}})
		f.must(err)
		secure := f.out["Secure"]
		_, err = f.elb.ModifyListener(f.Context(), &elb.ModifyListenerInput{ListenerArn: &secure, SslPolicy: aws.String([]string{"ELBSecurityPolicy-TLS13-1-2-2021-06", "ELBSecurityPolicy-2016-08"}[n%2])})
		f.must(err)
		_, err = f.elb.DeleteRule(f.Context(), &elb.DeleteRuleInput{RuleArn: &rule})
		f.must(err)
		_, err = f.elb.DeleteListener(f.Context(), &elb.DeleteListenerInput{ListenerArn: l.Listeners[0].ListenerArn})
		f.must(err)
		changes.Add(8)
		time.Sleep(20 * time.Millisecond)
	}
}
