package cloudwatch

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/aws/arn"
	"minato/services/cloudwatch/alarmrule"
)

// PutCompositeAlarm makes an alarm of other alarms' states, or changes one.
func (s *Service) PutCompositeAlarm(ctx context.Context, in *cwapi.PutCompositeAlarmInput) (*cwapi.PutCompositeAlarmOutput, error) {
	if name, asked := aws.Asked(in, "ActionsSuppressor", "ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod"); asked {
		return nil, refused(name)
	}
	if err := checkActions(in.AlarmActions, in.OKActions, in.InsufficientDataActions); err != nil {
		return nil, err
	}
	rule, err := alarmrule.Parse(aws.Val(in.AlarmRule))
	if err != nil {
		return nil, invalid("%s", err)
	}
	p, now, name := place(ctx), s.clock.Now().UTC(), aws.Val(in.AlarmName)
	c := &cwapi.CompositeAlarm{
		ActionsEnabled: in.ActionsEnabled, AlarmActions: listed(in.AlarmActions), AlarmArn: aws.Ptr(alarmARN(p, name)), AlarmConfigurationUpdatedTimestamp: &now,
		AlarmDescription: in.AlarmDescription, AlarmName: in.AlarmName, AlarmRule: in.AlarmRule, InsufficientDataActions: listed(in.InsufficientDataActions), OKActions: listed(in.OKActions),
	}
	if c.ActionsEnabled == nil {
		c.ActionsEnabled = aws.Ptr(true)
	}
	if err := s.checkChildren(ctx, name, rule); err != nil {
		return nil, err
	}
	err = s.put(ctx, name, in.Tags, func(a *alarm, exists bool) error {
		switch {
		case exists && a.Composite == nil:
			return invalid("Could not save the composite alarm as a metric alarm with the name %s exists.", name)
		case exists:
			o := a.Composite
			c.StateValue, c.StateReason, c.StateReasonData = o.StateValue, o.StateReason, o.StateReasonData
			c.StateUpdatedTimestamp, c.StateTransitionedTimestamp = o.StateUpdatedTimestamp, o.StateTransitionedTimestamp
		default:
			c.StateValue, c.StateReason = aws.Ptr(cwapi.StateValueInsufficientData), aws.Ptr("Unchecked: Initial alarm creation")
			c.StateUpdatedTimestamp, c.StateTransitionedTimestamp = &now, &now
		}
		a.Composite = c
		return nil
	})
	return &cwapi.PutCompositeAlarmOutput{}, err
}

// checkChildren refuses a rule over alarms that are not there, and one that
// would depend on itself: its state could never settle.
func (s *Service) checkChildren(ctx context.Context, name string, rule *alarmrule.Rule) error {
	p := place(ctx)
	var gone []string
	seen := map[string]bool{}
	var walk func(children []string, direct bool) error
	walk = func(children []string, direct bool) error {
		for _, child := range children {
			if child == name {
				return invalid("Could not save the composite alarm as its alarm rule would depend on itself.")
			}
			if seen[child] {
				continue
			}
			seen[child] = true
			a, found, err := s.alarms.Get(ctx, p.Account, p.Region, child)
			switch {
			case err != nil:
				return internal(err)
			case !found && direct:
				gone = append(gone, child)
			case a.Composite != nil:
				if err := walk(childrenOf(a.Composite), false); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := walk(names(rule), true); err != nil {
		return err
	}
	if len(gone) > 0 {
		return invalid("Could not save the composite alarm as alarms [%s] in the alarm rule do not exist", strings.Join(gone, ", "))
	}
	return nil
}

// names are the names of a rule's alarms, which may be given by ARN.
func names(rule *alarmrule.Rule) []string {
	var out []string
	for _, a := range rule.Alarms() {
		if n := nameOf(a); !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// nameOf is the name of an alarm that is given by its name or ARN.
func nameOf(alarm string) string {
	if a, ok := arn.Parse(alarm); ok && a.Service == "cloudwatch" {
		if name, ok := strings.CutPrefix(a.Resource, "alarm:"); ok {
			return name
		}
	}
	return alarm
}

func childrenOf(c *cwapi.CompositeAlarm) []string {
	rule, err := alarmrule.Parse(aws.Val(c.AlarmRule))
	if err != nil {
		return nil
	}
	return names(rule)
}
