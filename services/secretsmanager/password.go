package secretsmanager

import (
	"context"
	"strings"

	"minato/aws"
	api "minato/aws/api/secretsmanager"
)

// The types of characters that passwords are made of.
const (
	lowercase   = "abcdefghijklmnopqrstuvwxyz"
	uppercase   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	numbers     = "0123456789"
	punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
)

// usualLength is a password's length when none is asked for.
const usualLength = 32

// GetRandomPassword makes a password. Nothing of it is kept.
func (s *Service) GetRandomPassword(_ context.Context, in *api.GetRandomPasswordInput) (*api.GetRandomPasswordOutput, error) {
	length := int64(usualLength)
	if in.PasswordLength != nil {
		length = *in.PasswordLength
	}
	var types []string
	for _, t := range []struct {
		letters string
		without bool
	}{
		{lowercase, aws.Val(in.ExcludeLowercase)},
		{uppercase, aws.Val(in.ExcludeUppercase)},
		{numbers, aws.Val(in.ExcludeNumbers)},
		{punctuation, aws.Val(in.ExcludePunctuation)},
		{" ", !aws.Val(in.IncludeSpace)},
	} {
		letters := strings.Map(func(r rune) rune {
			if strings.ContainsRune(aws.Val(in.ExcludeCharacters), r) {
				return -1
			}
			return r
		}, t.letters)
		if !t.without && letters != "" {
			types = append(types, letters)
		}
	}
	if len(types) == 0 {
		return nil, api.InvalidParameterException("No characters are left to make a password of: all types of characters are excluded.")
	}
	all := strings.Join(types, "")
	var out []byte
	if in.RequireEachIncludedType == nil || *in.RequireEachIncludedType {
		if length < int64(len(types)) {
			return nil, api.InvalidParameterException("Password length is too short based on the required types.")
		}
		for _, t := range types {
			out = append(out, t[below(len(t))])
		}
	}
	for int64(len(out)) < length {
		out = append(out, all[below(len(all))])
	}
	shuffle(out)
	return &api.GetRandomPasswordOutput{RandomPassword: aws.Ptr(string(out))}, nil
}

// shuffle brings letters into a random order, every one as likely.
func shuffle(b []byte) {
	for i := len(b) - 1; i > 0; i-- {
		j := belowLarge(i + 1)
		b[i], b[j] = b[j], b[i]
	}
}

// belowLarge is below for numbers of up to 65536.
func belowLarge(n int) int {
	if n <= 256 {
		return below(n)
	}
	for {
		if v := below(256)<<8 | below(256); v < 65536-65536%n {
			return v % n
		}
	}
}
