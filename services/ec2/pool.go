package ec2

import (
	"context"
	"math/rand/v2"
	"net/netip"

	"minato/aws"
	"minato/services/ec2/block"
	"minato/services/ec2/record"
	"minato/store"
)

// publicRecord says that an address of the public pool is given away. The pool
// is the machine's, so its keys are under no account.
type publicRecord struct {
	Owner string // an allocation (eipalloc-…) or an interface (eni-…)
}

// privateRecord says that an address of a subnet is in use; the keys are
// account, region, subnet, address.
type privateRecord struct {
	Interface string
}

// poolKey stands in the keys of public addresses where others have account and
// region.
const poolKey = "pool"

// takePublic gives an address of the pool to an owner.
func (s *Service) takePublic(tx *store.Tx, owner string) (netip.Addr, error) {
	used, err := s.public.Keys(tx.Context(), poolKey, poolKey)
	if err != nil {
		return netip.Addr{}, err
	}
	taken := make(map[string]bool, len(used))
	for _, key := range used {
		parts := s.public.IDs(key)
		taken[parts[len(parts)-1]] = true
	}
	for a := s.FirstAssignable; s.Pool.Contains(a.Next()); a = a.Next() {
		if taken[a.String()] {
			continue
		}
		// Read in the transaction: of two that pick the same address one starts over.
		if _, found, err := s.public.TxGet(tx, poolKey, poolKey, a.String()); err != nil || found {
			if err != nil {
				return netip.Addr{}, err
			}
			continue
		}
		return a, s.public.TxPut(tx, publicRecord{Owner: owner}, poolKey, poolKey, a.String())
	}
	return netip.Addr{}, aws.Errorf("AddressLimitExceeded", "The maximum number of addresses has been reached.").Because(errPoolEmpty(s.Pool))
}

func errPoolEmpty(pool netip.Prefix) error {
	return aws.Errorf("PoolExhausted", "every address of %s is given away; up --public-cidr with a larger range", pool)
}

func (s *Service) releasePublic(tx *store.Tx, addr string) {
	s.public.TxDelete(tx, poolKey, poolKey, addr)
}

// takePrivate gives an address of a subnet to an interface: the one it asks
// for, or any that is free.
func (s *Service) takePrivate(tx *store.Tx, p place, sub *record.Subnet, eni, want string) (netip.Addr, error) {
	cidr, id := sub.CIDR(), *sub.SubnetId
	size := 1 << (32 - cidr.Bits())
	take := func(a netip.Addr) error {
		return s.private.TxPut(tx, privateRecord{Interface: eni}, p.account, p.region, id, a.String())
	}
	if want != "" {
		a, err := netip.ParseAddr(want)
		if err != nil || !cidr.Contains(a) {
			return a, aws.Errorf("InvalidParameterValue", "Address %s does not fall within the subnet's address range", want)
		}
		if n := block.Offset(cidr, a); n < 4 || n == size-1 {
			return a, aws.Errorf("InvalidParameterValue", "Address %s is in subnet's reserved address range", want)
		}
		_, found, err := s.private.TxGet(tx, p.account, p.region, id, a.String())
		if err == nil && found {
			err = aws.Errorf("InvalidIPAddress.InUse", "The specified address is already in use.")
		}
		return a, errFirst(err, take(a))
	}
	// From a random place on, so that interfaces made at the same time do not
	// fight for the same address.
	span := size - reserved
	start := rand.IntN(span)
	for i := range span {
		a := block.Nth(cidr, 4+(start+i)%span)
		_, found, err := s.private.TxGet(tx, p.account, p.region, id, a.String())
		if err != nil {
			return a, err
		}
		if !found {
			return a, take(a)
		}
		if i >= store.MaxOps/2 { // a transaction holds no more checks: look first
			return s.searchPrivate(tx.Context(), tx, p, sub, eni)
		}
	}
	return netip.Addr{}, noFreeAddress(id)
}

// searchPrivate finds a free address in a subnet that is nearly full.
func (s *Service) searchPrivate(ctx context.Context, tx *store.Tx, p place, sub *record.Subnet, eni string) (netip.Addr, error) {
	cidr, id := sub.CIDR(), *sub.SubnetId
	keys, err := s.private.Keys(ctx, p.account, p.region, id)
	if err != nil {
		return netip.Addr{}, err
	}
	taken := make(map[string]bool, len(keys))
	for _, k := range keys {
		parts := s.private.IDs(k)
		taken[parts[len(parts)-1]] = true
	}
	for n := 4; n < 1<<(32-cidr.Bits())-1; n++ {
		a := block.Nth(cidr, n)
		if taken[a.String()] {
			continue
		}
		if _, found, err := s.private.TxGet(tx, p.account, p.region, id, a.String()); err != nil || found {
			return a, errFirst(err, store.ErrConflict) // somebody was faster: start over
		}
		return a, s.private.TxPut(tx, privateRecord{Interface: eni}, p.account, p.region, id, a.String())
	}
	return netip.Addr{}, noFreeAddress(id)
}

func noFreeAddress(subnet string) error {
	return aws.Errorf("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.", subnet)
}

func (s *Service) releasePrivate(tx *store.Tx, p place, subnet, addr string) {
	s.private.TxDelete(tx, p.account, p.region, subnet, addr)
}
