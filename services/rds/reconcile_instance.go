package rds

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	rdsapi "minato/aws/api/rds"
	"minato/aws/arn"
	"minato/controller"
	"minato/dataplane/database"
)

// reconciler brings instances to what is wanted of them.
type reconciler struct{ *Service }

// maxSteps bounds one look at an instance: a plan that does not come to an end
// is a fault, and must not take a worker for itself.
const maxSteps = 24

// Keys implements controller.Reconciler.
func (r *reconciler) Keys(ctx context.Context) ([]string, error) { return r.instances.Keys(ctx) }

// Reconcile implements controller.Reconciler.
func (r *reconciler) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	ids := r.instances.IDs(key)
	if len(ids) != 3 {
		return controller.Result{}, fmt.Errorf("%s is no instance's key", key)
	}
	p := arn.In(ids[1], ids[0])
	for range maxSteps {
		rec, found, err := r.instances.GetKey(ctx, key)
		if err != nil || !found {
			return controller.Result{}, err
		}
		v, err := r.look(ctx, p, rec)
		if err != nil {
			return controller.Result{}, err
		}
		next := plan(v)
		if next == stepNone {
			return controller.Result{}, nil
		}
		if err := r.take(ctx, p, v, next); err != nil {
			return controller.Result{}, fmt.Errorf("%s of %s: %w", next, rec.id(), err)
		}
	}
	return controller.Result{}, fmt.Errorf("%s does not settle", key)
}

// look observes what the plan needs to know.
func (r *reconciler) look(ctx context.Context, p arn.Place, rec instance) (view, error) {
	v := view{rec: rec, now: r.Clock.Now()}
	there, err := r.Databases.List(ctx)
	if err != nil {
		return v, err
	}
	v.exists = slices.Contains(there, rec.Server)
	if v.running, err = r.Databases.Running(ctx, rec.Server); err != nil {
		return v, err
	}
	snapshots, err := r.snapshots.List(ctx, p.Account, p.Region)
	if err != nil {
		return v, err
	}
	for _, n := range snapshots {
		if n.Server == rec.Server && aws.Val(n.Status) == statusCreating {
			v.snapshot = aws.Val(n.DBSnapshotIdentifier)
			break
		}
	}
	v.wanted, err = r.parameters(ctx, p, rec)
	return v, err
}

// parameters are those of the instance's group, with formulas evaluated.
func (r *reconciler) parameters(ctx context.Context, p arn.Place, rec instance) (map[string]string, error) {
	group, err := r.findParameterGroup(ctx, p, rec.ParameterGroup)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for name, set := range group.Values {
		value, err := formula(set.Value, hardwareOf(aws.Val(rec.DBInstanceClass)), int(aws.Val(rec.AllocatedStorage)))
		if err != nil {
			return nil, err
		}
		out[name] = value
	}
	return out, nil
}

// take does one step.
func (r *reconciler) take(ctx context.Context, p arn.Place, v view, next step) error {
	switch next {
	case stepCreateInterface:
		return r.createInterface(ctx, p, v.rec)
	case stepChangeInterface:
		return r.changeInterface(ctx, p, v.rec)
	case stepDeleteInterface:
		return r.deleteInterface(ctx, p, v.rec)
	case stepStart:
		return r.start(ctx, p, v)
	case stepStop:
		return r.stop(ctx, p, v)
	case stepMaster:
		return r.setMaster(ctx, p, v.rec)
	case stepParameters:
		return r.applyParameters(ctx, p, v)
	case stepSnapshot:
		return r.makeSnapshot(ctx, p, v)
	case stepDelete:
		return r.Databases.Delete(ctx, v.rec.Server)
	case stepForget:
		return r.forget(ctx, p, v.rec)
	case stepTakeOver:
		return r.observe(ctx, p, v.rec, func(rec *instance) {
			rec.takeOver()
			if rec.changed() {
				rec.DBInstanceStatus = aws.Ptr(statusModifying)
			}
		})
	case stepSettle:
		return r.settle(ctx, p, v)
	}
	return fmt.Errorf("nobody knows the step %q", next)
}

// observe writes what was seen into the record, which may have changed since; an
// instance that is gone is left alone.
func (r *reconciler) observe(ctx context.Context, p arn.Place, rec instance, f func(rec *instance)) error {
	_, err := r.instances.Update(ctx, func(now *instance) error {
		if now.Server != rec.Server {
			return nil // another instance under the same name
		}
		f(now)
		return nil
	}, p.Account, p.Region, rec.id())
	return err
}

// interfaceTag finds an interface again whose id was not written down.
const interfaceTag = "rds:dbi-resource-id"

func (r *reconciler) createInterface(ctx context.Context, p arn.Place, rec instance) error {
	ctx = as(ctx, p)
	resource := aws.Val(rec.DbiResourceId)
	found, err := r.EC2.DescribeNetworkInterfaces(ctx, &ec2api.DescribeNetworkInterfacesInput{Filters: []ec2api.Filter{{Name: aws.Ptr("tag:" + interfaceTag), Values: []string{resource}}}})
	if err != nil {
		return err
	}
	var eni *ec2api.NetworkInterface
	if len(found.NetworkInterfaces) > 0 {
		eni = &found.NetworkInterfaces[0]
	} else {
		made, err := r.EC2.CreateNetworkInterface(ctx, &ec2api.CreateNetworkInterfaceInput{
			SubnetId: aws.Ptr(rec.Subnet), Groups: rec.Groups, Description: aws.Ptr("RDSNetworkInterface"),
			TagSpecifications: []ec2api.TagSpecification{{ResourceType: aws.Ptr("network-interface"), Tags: []ec2api.Tag{{Key: aws.Ptr(interfaceTag), Value: aws.Ptr(resource)}}}},
		})
		if err != nil {
			return err
		}
		eni = made.NetworkInterface
	}
	seen, err := observed(eni)
	if err != nil {
		return err
	}
	return r.observe(ctx, p, rec, func(rec *instance) { rec.Interface = seen })
}

// observed takes what we keep of an interface.
func observed(eni *ec2api.NetworkInterface) (observedInterface, error) {
	seen := observedInterface{ID: aws.Val(eni.NetworkInterfaceId)}
	var err error
	if seen.Private, err = netip.ParseAddr(aws.Val(eni.PrivateIpAddress)); err != nil {
		return seen, err
	}
	for _, g := range eni.Groups {
		seen.Groups = append(seen.Groups, aws.Val(g.GroupId))
	}
	if eni.Association != nil {
		seen.Public = true
		if seen.Address, err = netip.ParseAddr(aws.Val(eni.Association.PublicIp)); err != nil {
			return seen, err
		}
	}
	return seen, nil
}

func (r *reconciler) changeInterface(ctx context.Context, p arn.Place, rec instance) error {
	ctx = as(ctx, p)
	_, err := r.EC2.ModifyNetworkInterfaceAttribute(ctx, &ec2api.ModifyNetworkInterfaceAttributeInput{
		NetworkInterfaceId: aws.Ptr(rec.Interface.ID), Groups: rec.Groups, AssociatePublicIpAddress: rec.PubliclyAccessible,
	})
	if err != nil {
		return err
	}
	out, err := r.EC2.DescribeNetworkInterfaces(ctx, &ec2api.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{rec.Interface.ID}})
	if err != nil {
		return err
	}
	if len(out.NetworkInterfaces) != 1 {
		return fmt.Errorf("the interface %s is gone", rec.Interface.ID)
	}
	seen, err := observed(&out.NetworkInterfaces[0])
	if err != nil {
		return err
	}
	return r.observe(ctx, p, rec, func(rec *instance) { rec.Interface = seen })
}

func (r *reconciler) deleteInterface(ctx context.Context, p arn.Place, rec instance) error {
	_, err := r.EC2.DeleteNetworkInterface(as(ctx, p), &ec2api.DeleteNetworkInterfaceInput{NetworkInterfaceId: aws.Ptr(rec.Interface.ID)})
	if err != nil && !aws.IsCode(err, "InvalidNetworkInterfaceID.NotFound") {
		return err
	}
	return r.observe(ctx, p, rec, func(rec *instance) { rec.Interface = observedInterface{} })
}

// Starts that fail so often in a row change the status; the next still try.
const (
	failuresIncompatible = 2
	failuresFailed       = 5
)

// start makes and starts the server, and waits for its first answer.
func (r *reconciler) start(ctx context.Context, p arn.Place, v view) error {
	rec := v.rec
	if rec.Made && rec.status() == statusAvailable {
		// Nobody asked for it: the process ended by itself.
		r.tellInstance(ctx, p, rec.id(), "recovery", "Recovery of the DB instance has started. Recovery time will vary with the amount of data to be recovered.")
		if err := r.observe(ctx, p, rec, func(rec *instance) { rec.DBInstanceStatus = aws.Ptr(statusRebooting) }); err != nil {
			return err
		}
	}
	if err := r.Network.Wait(ctx, rec.Interface.ID); err != nil {
		return fmt.Errorf("the interface %s: %w", rec.Interface.ID, err)
	}
	h := hardwareOf(aws.Val(rec.DBInstanceClass))
	databaseName := aws.Val(rec.DBName)
	if rec.FromSnapshot != "" {
		databaseName = "" // it is in the data
	}
	err := r.Databases.Ensure(ctx, database.Server{
		ID: rec.Server, Engine: aws.Val(rec.Engine), Snapshot: rec.FromSnapshot, Master: rec.Master, Database: databaseName, Port: rec.Port, Parameters: v.wanted,
		Netns: r.Network.NetnsPath(rec.Interface.ID), Hostname: rec.id(), Memory: h.memory, CPUs: h.cpus,
	})
	if err != nil {
		return errors.Join(err, r.failed(ctx, p, v, err))
	}
	first := !rec.Made
	err = r.observe(ctx, p, rec, func(now *instance) {
		if !now.Made && now.Master.Verifier == rec.Master.Verifier {
			now.Master.Verifier = "" // the server has it
		}
		now.Made, now.Failures = true, 0
		now.RebootsDone = rec.Reboots
		now.Started = started{Class: aws.Val(rec.DBInstanceClass), Version: aws.Val(rec.EngineVersion), Port: rec.Port, Parameters: v.wanted}
		now.Applied, now.AppliedGroup, now.Outcomes = nil, rec.ParameterGroup, nil
	})
	if err != nil {
		return err
	}
	if first {
		r.sayWhatRuns(ctx, p, rec)
	}
	return nil
}

// sayWhatRuns tells when the product is not the one that was asked for.
func (r *reconciler) sayWhatRuns(ctx context.Context, p arn.Place, rec instance) {
	if actual := r.Actual(rec.DBInstance); actual != "" {
		r.tellInstance(ctx, p, rec.id(), "notification", "minato: %s", actual)
	}
}

// failed counts a start that failed, and gives the status that follows.
func (r *reconciler) failed(ctx context.Context, p arn.Place, v view, cause error) error {
	status := ""
	err := r.observe(ctx, p, v.rec, func(rec *instance) {
		rec.Failures++
		switch {
		case errors.Is(cause, database.ErrNoEngine), rec.Failures >= failuresFailed && len(v.wanted) == 0:
			status = statusFailed
		case rec.Failures >= failuresIncompatible && len(v.wanted) > 0:
			status = statusIncompatible
		}
		if status == "" || rec.status() == status || rec.Goal != goalRunning {
			status = ""
			return
		}
		rec.DBInstanceStatus = aws.Ptr(status)
	})
	if err == nil && status != "" {
		r.tellInstance(ctx, p, v.rec.id(), "failure", "The DB instance is in the %s state: %v", status, cause)
	}
	return err
}

// stop stops the server, to stay stopped or to be started again.
func (r *reconciler) stop(ctx context.Context, p arn.Place, v view) error {
	if err := r.Databases.Stop(ctx, v.rec.Server); err != nil {
		return err
	}
	if v.rec.Goal == goalStopped {
		r.tellInstance(ctx, p, v.rec.id(), "notification", "DB instance stopped")
	} else {
		r.tellInstance(ctx, p, v.rec.id(), "availability", "DB instance shutdown")
	}
	return nil
}

func (r *reconciler) setMaster(ctx context.Context, p arn.Place, rec instance) error {
	if err := r.Databases.SetMaster(ctx, rec.Server, rec.Master); err != nil {
		return err
	}
	r.tellInstance(ctx, p, rec.id(), "configuration change", "Reset master credentials")
	return r.observe(ctx, p, rec, func(now *instance) {
		if now.Master.Verifier == rec.Master.Verifier {
			now.Master.Verifier = ""
		}
	})
}

// applyParameters hands the parameters to the running server: after a start all
// of them, later those that ask for it.
func (r *reconciler) applyParameters(ctx context.Context, p arn.Place, v view) error {
	rec := v.rec
	group, err := r.findParameterGroup(ctx, p, rec.ParameterGroup)
	if err != nil {
		return err
	}
	var settings []database.Setting
	for name, value := range v.wanted {
		settings = append(settings, database.Setting{Name: name, Value: value, Now: rec.Applied == nil || group.Values[name].Immediate})
	}
	var outcomes []database.Outcome
	if len(settings) > 0 {
		if outcomes, err = r.Databases.Apply(ctx, rec.Server, settings); err != nil {
			return err
		}
	}
	for _, o := range outcomes {
		if o.Effect == database.NotApplied && !slices.Contains(rec.Outcomes, o) {
			r.tellInstance(ctx, p, rec.id(), "notification", "minato: the parameter %s is not applied: %s", o.Name, o.Reason)
		}
	}
	return r.observe(ctx, p, rec, func(now *instance) { now.Applied, now.Outcomes = maps.Clone(v.wanted), outcomes })
}

func (r *reconciler) makeSnapshot(ctx context.Context, p arn.Place, v view) error {
	rec, found, err := r.snapshots.Get(ctx, p.Account, p.Region, v.snapshot)
	if err != nil || !found {
		return err
	}
	r.tellInstance(ctx, p, v.rec.id(), "backup", "Backing up DB instance")
	if err := r.Databases.Snapshot(ctx, v.rec.Server, rec.Data); err != nil {
		return err
	}
	_, err = r.snapshots.Update(ctx, func(n *snapshot) error {
		n.Status, n.PercentProgress = aws.Ptr(statusAvailable), aws.Ptr(int32(100))
		n.SnapshotCreateTime, n.OriginalSnapshotCreateTime = r.now(), r.now()
		return nil
	}, p.Account, p.Region, v.snapshot)
	if err != nil {
		return err
	}
	r.tellInstance(ctx, p, v.rec.id(), "backup", "Finished DB Instance backup")
	r.tell(ctx, p, sourceSnapshot, v.snapshot, p.DBSnapshot(v.snapshot), "creation", "Manual snapshot created")
	return nil
}

func (r *reconciler) forget(ctx context.Context, p arn.Place, rec instance) error {
	if err := r.instances.Delete(ctx, p.Account, p.Region, rec.id()); err != nil {
		return err
	}
	r.tellInstance(ctx, p, rec.id(), "deletion", "DB instance deleted")
	return r.forgetEvents(ctx, p)
}

// arrivals are what the events say when a status gives way to available.
var arrivals = map[string]string{
	statusCreating: "DB instance created", statusStarting: "DB instance started", statusRebooting: "DB instance restarted",
	statusModifying: "Finished applying modification to the DB instance",
}

// settle writes the status that is reached, if nothing was asked for meanwhile.
func (r *reconciler) settle(ctx context.Context, p arn.Place, v view) error {
	was := ""
	err := r.observe(ctx, p, v.rec, func(now *instance) {
		was = ""
		v.rec = *now
		if plan(v) != stepSettle {
			return
		}
		was = now.status()
		if now.Goal == goalStopped {
			now.DBInstanceStatus = aws.Ptr(statusStopped)
			return
		}
		now.DBInstanceStatus = aws.Ptr(statusAvailable)
		now.DBParameterGroups = []rdsapi.DBParameterGroupStatus{{DBParameterGroupName: aws.Ptr(now.ParameterGroup), ParameterApplyStatus: aws.Ptr(parameterStatus(v))}}
		now.Endpoint = &rdsapi.Endpoint{Address: aws.Ptr(endpoint(p, now.id())), Port: aws.Ptr(int32(now.Port)), HostedZoneId: aws.Ptr(hostedZone)}
	})
	if err != nil || was == "" {
		return err
	}
	if text := arrivals[was]; text != "" && v.rec.Goal == goalRunning {
		r.tellInstance(ctx, p, v.rec.id(), arrivalCategory(was), "%s", text)
	}
	return nil
}

// hostedZone is RDS's own zone in us-east-1; nothing asks for it here.
const hostedZone = "Z2R2ITUGPM61AM"

func arrivalCategory(was string) string {
	switch was {
	case statusCreating:
		return "creation"
	case statusModifying:
		return "configuration change"
	}
	return "availability"
}
