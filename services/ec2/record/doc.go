// Package record is what EC2 keeps of the resources that make the network, one
// type each: the shape of the API and what is ours besides. A record knows by
// which filters it is found, and what it says of itself; the operations of
// package ec2 read and write it.
package record
