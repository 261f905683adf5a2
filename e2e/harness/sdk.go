package harness

import (
	"bytes"
	"io"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// SDKClient is the SDK's HTTP client without a fault of smithy-go's (v1.28.9):
// the SDK closes a request's body as soon as the answer begins, and an
// http.Transport that looks at just this moment whether the body has ended is
// told EOF as an error, takes the request for failed, and closes the connection
// under the answer. Over a network nobody meets that; here one call in six does,
// and one in some hundreds loses its answer. With retries off it has to be kept out.
type SDKClient struct{ *awshttp.BuildableClient }

// NewSDKClient returns a client with the SDK's defaults.
func NewSDKClient() SDKClient { return SDKClient{awshttp.NewBuildableClient()} }

// Do implements aws.HTTPClient. The body is read whole: calls of the API are small.
func (c SDKClient) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.WithContext(r.Context()) // a copy; the SDK closes its own
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	return c.BuildableClient.Do(r)
}
