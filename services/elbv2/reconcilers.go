package elbv2

import (
	"strings"

	"minato/controller"
	"minato/dataplane/proxy"
)

// The names of the reconcilers.
const (
	interfacesLoop = "elbv2/interfaces"
	proxyLoop      = "elbv2/proxy"
	healthLoop     = "elbv2/health"
	instancesLoop  = "elbv2/instances"
)

// recordsPrefix is what the keys of all records of the service begin with.
const recordsPrefix = "elbv2/"

// Register adds the service's reconcilers to a controller that watches the
// store, and listens to the data plane. Before the controller starts.
// certificates begin the keys of the records of certificates.
func (s *Service) Register(c *controller.Controller, certificates ...string) {
	c.Add(interfacesLoop, &interfaceReconciler{s}, controller.Options{Workers: 1})
	c.Add(proxyLoop, &proxyReconciler{s: s}, controller.Options{Workers: 1})
	c.Add(healthLoop, &healthReconciler{s}, controller.Options{})
	c.Add(instancesLoop, &instanceReconciler{s}, controller.Options{Workers: 1})
	c.Wake(instancesLoop, "ec2/instance/", placeOf)
	c.Wake(instancesLoop, s.groups.Prefix(), placeOf)
	c.Wake(interfacesLoop, s.balancers.Prefix(), placeOf)
	c.Wake(interfacesLoop, "ec2/network-interface/", placeOf)
	c.Wake(proxyLoop, recordsPrefix, func(changed string) string {
		if strings.HasPrefix(changed, s.places.Prefix()) {
			return ""
		}
		return proxyKey
	})
	for _, prefix := range certificates {
		c.Wake(proxyLoop, prefix, func(string) string { return proxyKey })
	}
	s.Proxy.OnExchange(s.collector.Add)
	s.Proxy.OnConnection(s.collector.AddConnection)
	s.Proxy.OnCheck(s.collector.AddCheck)
	s.Proxy.OnChange(func(ch proxy.Change) {
		if ch.TargetGroup != "" {
			c.Enqueue(healthLoop, ch.TargetGroup)
		} else {
			s.Bus.Publish(ch.LoadBalancer)
		}
	})
}
