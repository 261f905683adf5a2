package definition

import "testing"

func TestFargateSizes(t *testing.T) {
	for _, x := range []struct {
		cpu, memory string
		ok          bool
	}{
		{"256", "512", true},
		{"256", "1024", true},
		{"256", "2048", true},
		{"256", "1536", false},
		{".25 vCPU", "0.5 GB", true},
		{"512", "1024", true},
		{"512", "512", false},
		{"512", "5120", false},
		{"1024", "8192", true},
		{"1 vcpu", "8gb", true},
		{"4096", "30720", true},
		{"4096", "31744", false},
		{"8192", "20480", true},
		{"8192", "17408", false},
		{"16384", "122880", true},
		{"32768", "61440", true},
		{"32768", "65536", false},
		{"32768", "249856", true},
	} {
		if err := FargateSize(x.cpu, x.memory); (err == nil) != x.ok {
			t.Errorf("%s, %s: %v", x.cpu, x.memory, err)
		}
	}
}
