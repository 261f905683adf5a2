package protocol

import (
	"bytes"
	"compress/gzip"
	hexadecimal "encoding/hex"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"minato/aws"
	"minato/aws/api/cloudwatch"
)

var cborRouter = NewRouter(cloudwatch.Model)

func cborRequest(op string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/service/GraniteServiceVersion20100801/operation/"+op, nil)
	r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	return r
}

// unhex reads hexadecimal with spaces, and text in quotes as it is.
func unhex(t testing.TB, text string) []byte {
	t.Helper()
	var out []byte
	for i, part := range strings.Split(text, "'") {
		if i%2 == 1 {
			out = append(out, part...)
			continue
		}
		b, err := hexadecimal.DecodeString(strings.ReplaceAll(part, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}

func TestDecodeCBOR(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 500e6, time.UTC)
	alarm := func(f float64) *cloudwatch.PutMetricAlarmInput {
		return &cloudwatch.PutMetricAlarmInput{Threshold: &f}
	}
	for name, c := range map[string]struct {
		op, body string
		want     any // input or error
	}{
		"nothing":                   {"ListMetrics", "", &cloudwatch.ListMetricsInput{}},
		"an empty map":              {"ListMetrics", "a0", &cloudwatch.ListMetricsInput{}},
		"text":                      {"ListMetrics", "a1 69'Namespace' 64'Chat'", &cloudwatch.ListMetricsInput{Namespace: aws.Ptr("Chat")}},
		"text in pieces":            {"ListMetrics", "a1 69'Namespace' 7f 62'Ch' 62'at' ff", &cloudwatch.ListMetricsInput{Namespace: aws.Ptr("Chat")}},
		"a map without length":      {"ListMetrics", "bf 69'Namespace' 64'Chat' ff", &cloudwatch.ListMetricsInput{Namespace: aws.Ptr("Chat")}},
		"null and undefined":        {"ListMetrics", "a2 69'Namespace' f6 6a'MetricName' f7", &cloudwatch.ListMetricsInput{}},
		"what is not known":         {"ListMetrics", "a2 61'x' a1 61'y' 82 c1 01 9f 41'z' ff 69'Namespace' 61'C'", &cloudwatch.ListMetricsInput{Namespace: aws.Ptr("C")}},
		"lists of structures":       {"ListMetrics", "a1 6a'Dimensions' 82 a1 64'Name' 61'a' f6", &cloudwatch.ListMetricsInput{Dimensions: []cloudwatch.DimensionFilter{{Name: aws.Ptr("a")}}}},
		"a list without length":     {"DescribeAlarms", "a1 6a'AlarmNames' 9f 61'a' 61'b' ff", &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{"a", "b"}}},
		"booleans":                  {"ListMetrics", "a1 75'IncludeLinkedAccounts' f5", &cloudwatch.ListMetricsInput{IncludeLinkedAccounts: aws.Ptr(true)}},
		"integers":                  {"DescribeAlarms", "a1 6a'MaxRecords' 18 64", &cloudwatch.DescribeAlarmsInput{MaxRecords: aws.Ptr(int32(100))}},
		"a negative integer":        {"DescribeAlarms", "a1 6a'MaxRecords' 38 63", &cloudwatch.DescribeAlarmsInput{MaxRecords: aws.Ptr(int32(-100))}},
		"a double":                  {"PutMetricAlarm", "a1 69'Threshold' fb 3ff8000000000000", alarm(1.5)},
		"a single":                  {"PutMetricAlarm", "a1 69'Threshold' fa 3fc00000", alarm(1.5)},
		"a half":                    {"PutMetricAlarm", "a1 69'Threshold' f9 3e00", alarm(1.5)},
		"a negative half":           {"PutMetricAlarm", "a1 69'Threshold' f9 be00", alarm(-1.5)},
		"the smallest half":         {"PutMetricAlarm", "a1 69'Threshold' f9 0001", alarm(math.Ldexp(1, -24))},
		"an infinite half":          {"PutMetricAlarm", "a1 69'Threshold' f9 7c00", alarm(math.Inf(1))},
		"an integer as a double":    {"PutMetricAlarm", "a1 69'Threshold' 07", alarm(7)},
		"a time":                    {"DescribeAlarmHistory", "a1 69'StartDate' c1 fb 41dac35950200000", &cloudwatch.DescribeAlarmHistoryInput{StartDate: &at}},
		"a time of whole seconds":   {"DescribeAlarmHistory", "a1 69'StartDate' c1 1a 6a0c28c0", &cloudwatch.DescribeAlarmHistoryInput{StartDate: aws.Ptr(time.Unix(0x6a0c28c0, 0).UTC())}},
		"the wrong type":            {"ListMetrics", "a1 69'Namespace' 01", "CBOR's an integer can not be converted to a String"},
		"an integer too large":      {"DescribeAlarms", "a1 6a'MaxRecords' 1b ffffffffffffffff", "can not be converted to an Integer"},
		"a time without its tag":    {"DescribeAlarmHistory", "a1 69'StartDate' 01", "can not be converted to a Timestamp"},
		"a key that is no text":     {"ListMetrics", "a1 01 02", "can not be converted to a key"},
		"half an item":              {"ListMetrics", "a1 69'Name'", "ends within"},
		"a length that is not true": {"DescribeAlarms", "a1 6a'AlarmNames' 9b ffffffffffffffff", "ends within"},
		"two items":                 {"ListMetrics", "a0 a0", "more than one"},
		"a list":                    {"ListMetrics", "80", "can not be converted to a Structure"},
		"not UTF-8":                 {"ListMetrics", "a1 69'Namespace' 61 ff", "UTF-8"},
		"a reserved length":         {"ListMetrics", "bc", "not valid CBOR"},
		"nested deeply":             {"ListMetrics", "a1 61'x' " + strings.Repeat("81", 200), "too deeply"},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := cborRouter.Route(cborRequest(c.op), unhex(t, c.body))
			if err != nil {
				t.Fatal(err)
			}
			in, err := call.Decode()
			if text, ok := c.want.(string); ok {
				if !aws.IsCode(err, "SerializationException") || !strings.Contains(err.Error(), text) {
					t.Errorf("%v, want %s", err, text)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(in, c.want) {
				t.Errorf("%s %v, want %s", show(in), err, show(c.want))
			}
		})
	}
}

func TestEncodeCBOR(t *testing.T) {
	at := time.Unix(0x6a0c28c0, 0).UTC()
	for name, c := range map[string]struct {
		op   string
		out  any
		want string
	}{
		"nothing":           {"PutMetricData", &cloudwatch.PutMetricDataOutput{}, ""},
		"text and numbers":  {"GetMetricStatistics", &cloudwatch.GetMetricStatisticsOutput{Label: aws.Ptr("é"), Datapoints: []cloudwatch.Datapoint{{Sum: aws.Ptr(1.5), Timestamp: &at, ExtendedStatistics: map[string]float64{"p9": 2}}}}, "a2 6a'Datapoints' 81 a3 72'ExtendedStatistics' a1 62'p9' fb4000000000000000 63'Sum' fb3ff8000000000000 69'Timestamp' c1 fb41da830a30000000 65'Label' 62 c3a9"},
		"integers, a list":  {"ListDashboards", &cloudwatch.ListDashboardsOutput{DashboardEntries: []cloudwatch.DashboardEntry{{Size: aws.Ptr(int64(300))}, {Size: aws.Ptr(int64(-1))}}}, "a1 70'DashboardEntries' 82 a1 64'Size' 19012c a1 64'Size' 20"},
		"an empty list":     {"ListMetrics", &cloudwatch.ListMetricsOutput{Metrics: []cloudwatch.Metric{}}, "a1 67'Metrics' 80"},
		"a boolean in list": {"DescribeAlarms", &cloudwatch.DescribeAlarmsOutput{MetricAlarms: []cloudwatch.MetricAlarm{{ActionsEnabled: aws.Ptr(false)}}}, "a1 6c'MetricAlarms' 81 a1 6e'ActionsEnabled' f4"},
	} {
		call, err := cborRouter.Route(cborRequest(c.op), nil)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if err := call.WriteResponse(w, c.out, "id"); err != nil {
			t.Fatal(err)
		}
		if want := unhex(t, c.want); !bytes.Equal(w.Body.Bytes(), want) {
			t.Errorf("%s:\n%x\nwant\n%x", name, w.Body.Bytes(), want)
		}
		if w.Header().Get("Smithy-Protocol") != "rpc-v2-cbor" || w.Header().Get("Content-Type") != "application/cbor" {
			t.Errorf("%s: %v", name, w.Header())
		}
	}
}

func TestRouteCBOR(t *testing.T) {
	call, err := cborRouter.Route(cborRequest("Nonsense"), nil)
	if !aws.IsCode(err, "UnknownOperationException") {
		t.Errorf("%v", err)
	}
	w := httptest.NewRecorder()
	if err := call.WriteError(w, cloudwatch.InvalidFormatFault("no"), "id"); err != nil {
		t.Fatal(err)
	}
	if want := unhex(t, "a2 66'__type' 78 2b'com.amazonaws.cloudwatch#InvalidFormatFault' 67'message' 62'no'"); w.Code != 400 || !bytes.Equal(w.Body.Bytes(), want) {
		t.Errorf("%q", w.Body)
	}
	if q := w.Header().Get("X-Amzn-Query-Error"); q != "InvalidFormat;Sender" {
		t.Error(q)
	}
	other := cborRequest("ListMetrics")
	other.Header.Set("Smithy-Protocol", "rpc-v3")
	if _, err := cborRouter.Route(other, nil); err == nil {
		t.Error("a protocol that is not known was taken")
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(unhex(t, "a1 69'Namespace' 61'C'"))
	z.Close()
	r := cborRequest("ListMetrics")
	r.Header.Set("Content-Encoding", "gzip")
	call, err = cborRouter.Route(r, zipped.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if in, err := call.Decode(); err != nil || *in.(*cloudwatch.ListMetricsInput).Namespace != "C" {
		t.Errorf("zipped: %v %v", in, err)
	}
	zipped.Reset()
	z = gzip.NewWriter(&zipped)
	_, _ = z.Write(make([]byte, MaxBody+1))
	z.Close()
	if _, err := cborRouter.Route(r, zipped.Bytes()); !aws.IsCode(err, "RequestEntityTooLarge") {
		t.Errorf("a bomb: %v", err)
	}
	if _, err := cborRouter.Route(r, []byte("x")); !aws.IsCode(err, "SerializationException") {
		t.Errorf("no gzip: %v", err)
	}
}

// FuzzDecodeCBOR: what is read can be written, and is read again as the same.
func FuzzDecodeCBOR(f *testing.F) {
	f.Add(unhex(f, "a1 69'Namespace' 64'Chat'"))
	f.Add(unhex(f, "bf 6a'MetricData' 9f a3 6a'MetricName' 61'm' 65'Value' f9 3e00 69'Timestamp' c1 01 ff ff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, op := range []string{"PutMetricData", "PutMetricAlarm", "GetMetricData"} {
			call, err := cborRouter.Route(cborRequest(op), body)
			if err != nil {
				t.Fatal(err)
			}
			in, err := call.Decode()
			if err != nil {
				if aws.AsError(err).HTTPStatus() >= 500 {
					t.Error(err)
				}
				continue
			}
			written := appendCBOR(nil, call.Operation.InputShape, reflect.ValueOf(in))
			again, err := cborRouter.Route(cborRequest(op), written)
			if err != nil {
				t.Fatal(err)
			}
			in2, err := again.Decode()
			if err != nil || !bytes.Equal(written, appendCBOR(nil, call.Operation.InputShape, reflect.ValueOf(in2))) {
				t.Errorf("%x is read and written as %x, %v", body, written, err)
			}
		}
	})
}
