package record

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	ecsapi "minato/aws/api/ecs"
	"minato/aws/identity"
)

// Token is a client token of RunTask, of one caller in one cluster. The ids of its tasks
// follow from it: whoever comes second with it, even at the same moment, finds
// the first one's tasks in their place.
type Token struct {
	Text    string // "" for none
	Request string // tells a request from others with the same token
}

// TokenOf is the client token of a call.
func TokenOf(ctx context.Context, cluster string, in *ecsapi.RunTaskInput) (Token, error) {
	if in.ClientToken == nil {
		return Token{}, nil
	}
	b, err := json.Marshal(in)
	if err != nil {
		return Token{}, err
	}
	return Token{Text: identity.From(ctx).PrincipalID + "/" + cluster + "/" + *in.ClientToken, Request: tokenHash(string(b))}, nil
}

// TaskID is the id of a token's task by its number, "" for any.
func (c Token) TaskID(i int) string {
	if c.Text == "" {
		return ""
	}
	return tokenHash(fmt.Sprint(i, "/", c.Text))[:TaskIDLength]
}

func tokenHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
