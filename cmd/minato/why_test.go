package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"minato/explain"
)

// TestWhyScreen: an ordinary explanation fits a screen of 24 lines by 100
// columns, and its commands can be copied.
func TestWhyScreen(t *testing.T) {
	const command = "aws ec2 authorize-security-group-ingress --group-id sg-0123456789abcdef0 --protocol tcp --port 80 --source-group sg-0fedcba9876543210"
	const document = `aws iam put-role-policy --role-name execution --policy-name allow-ssm --policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssm:GetParameters","Resource":"arn:aws:ssm:us-east-1:000000000000:parameter/db"}]}' # and so on`
	var b strings.Builder
	printExplanation(&b, explain.Explanation{
		Subject: "arn:aws:ecs:us-east-1:000000000000:service/chat/web", Kind: "service", State: explain.Failing, Summary: "2 causes were found",
		Causes: []explain.Cause{
			{What: strings.Repeat("a cause is told in some words ", 5), Evidence: []string{strings.Repeat("seen ", 30), "b", "c", "d", "e", "f", "g"}, Remedy: []string{command}},
			{What: "docker is not logged in to a registry whose name is long: it asked without a login and did not come back with one", Evidence: []string{"a"}, Remedy: []string{document}},
		},
	})
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) > 24 {
		t.Errorf("%d lines", len(lines))
	}
	for _, l := range lines {
		if n := utf8.RuneCountInString(l); n > screenWidth {
			t.Errorf("%d columns: %s", n, l)
		}
	}
	if strings.Contains(b.String(), "without \\\n") || strings.Contains(b.String(), "login \\\n") {
		t.Error("prose is taken for a command")
	}
	// A shell joins what ends with a backslash.
	joined := strings.Join(strings.Fields(strings.ReplaceAll(b.String(), "\\\n", " ")), " ")
	joined = strings.ReplaceAll(joined, ", \"", ",\"") // within quotes space is JSON's
	for _, c := range []string{command, document, "… and 4 more"} {
		if !strings.Contains(joined, c) {
			t.Errorf("%s is not to be copied from\n%s", c, b.String())
		}
	}
}

func TestWhyHealthyScreen(t *testing.T) {
	var b strings.Builder
	printExplanation(&b, explain.Explanation{
		Subject: "arn", Kind: "service", Name: "service:chat/web", State: explain.Healthy, Healthy: true, Summary: "nothing is wrong: it runs", Proof: []string{"2 of 2 tasks run"},
		Refused: []explain.Cause{{What: "a name is taken", Evidence: []string{"12:00:00"}}},
	})
	want := "service chat/web\nnothing is wrong: it runs\n  seen  2 of 2 tasks run\na call about it was refused lately:\nbecause a name is taken\n  seen  12:00:00\n"
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
}
