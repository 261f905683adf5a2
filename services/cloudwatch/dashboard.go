package cloudwatch

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/store"
)

// dashboard is the record of a dashboard: its body is kept as it was given, for
// whoever draws it.
type dashboard struct {
	Name     string      `json:"name"`
	Body     string      `json:"body"`
	Modified time.Time   `json:"modified"`
	Tags     []cwapi.Tag `json:"tags,omitempty"`
}

var dashboardName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

// PutDashboard makes a dashboard or replaces its body.
func (s *Service) PutDashboard(ctx context.Context, in *cwapi.PutDashboardInput) (*cwapi.PutDashboardOutput, error) {
	d := dashboard{Name: aws.Val(in.DashboardName), Body: aws.Val(in.DashboardBody), Modified: s.clock.Now().UTC()}
	if !dashboardName.MatchString(d.Name) {
		return nil, cwapi.DashboardInvalidInputError("The value %s for field DashboardName contains invalid characters. It can only contain alphanumerics, dash (-) and underscore (_).", d.Name)
	}
	var body struct {
		Widgets []struct {
			Type string `json:"type"`
		} `json:"widgets"`
	}
	var messages []cwapi.DashboardValidationMessage
	say := func(path, message string) {
		messages = append(messages, cwapi.DashboardValidationMessage{DataPath: aws.Ptr(path), Message: aws.Ptr(message)})
	}
	if err := json.Unmarshal([]byte(d.Body), &body); err != nil {
		say("/", "The field DashboardBody must be a valid JSON object")
	}
	for i, w := range body.Widgets {
		if !slices.Contains([]string{"metric", "text", "log", "alarm", "explorer", "custom"}, w.Type) {
			say("/widgets/"+strconv.Itoa(i)+"/type", "Should be equal to one of the allowed values")
		}
	}
	if len(messages) > 0 {
		e := cwapi.DashboardInvalidInputError("The dashboard body is invalid, there are %d validation errors: %s", len(messages), aws.Val(messages[0].Message))
		e.Fields = map[string]any{"dashboardValidationMessages": messages}
		return nil, e
	}
	p := place(ctx)
	err := store.Update(ctx, s.store, func(tx *store.Tx) error {
		old, found, err := s.dashboards.TxGet(tx, p.Account, d.Name)
		if err != nil {
			return err
		}
		d.Tags = old.Tags
		if !found {
			if d.Tags, err = withTags(nil, in.Tags); err != nil {
				return err
			}
		}
		return s.dashboards.TxPut(tx, d, p.Account, d.Name)
	})
	return &cwapi.PutDashboardOutput{DashboardValidationMessages: []cwapi.DashboardValidationMessage{}}, err
}

// GetDashboard returns a dashboard.
func (s *Service) GetDashboard(ctx context.Context, in *cwapi.GetDashboardInput) (*cwapi.GetDashboardOutput, error) {
	name, p := aws.Val(in.DashboardName), place(ctx)
	d, found, err := s.dashboards.Get(ctx, p.Account, name)
	switch {
	case err != nil:
		return nil, internal(err)
	case !found:
		return nil, noDashboard(name)
	}
	return &cwapi.GetDashboardOutput{DashboardArn: aws.Ptr(dashboardARN(p, name)), DashboardBody: &d.Body, DashboardName: &d.Name}, nil
}

func noDashboard(name string) error {
	return cwapi.DashboardNotFoundError("Dashboard %s does not exist", name)
}

// ListDashboards lists dashboards by name.
func (s *Service) ListDashboards(ctx context.Context, in *cwapi.ListDashboardsInput) (*cwapi.ListDashboardsOutput, error) {
	p := place(ctx)
	all, err := s.dashboards.List(ctx, p.Account)
	if err != nil {
		return nil, internal(err)
	}
	all = slices.DeleteFunc(all, func(d dashboard) bool { return !strings.HasPrefix(d.Name, aws.Val(in.DashboardNamePrefix)) })
	slices.SortFunc(all, func(a, b dashboard) int { return strings.Compare(a.Name, b.Name) })
	out := &cwapi.ListDashboardsOutput{DashboardEntries: []cwapi.DashboardEntry{}}
	all, out.NextToken, err = page(all, func(d dashboard) string { return d.Name }, in.NextToken, 1000)
	if err != nil {
		return nil, badValue("The value for parameter NextToken is invalid.")
	}
	for _, d := range all {
		out.DashboardEntries = append(out.DashboardEntries, cwapi.DashboardEntry{
			DashboardArn: aws.Ptr(dashboardARN(p, d.Name)), DashboardName: aws.Ptr(d.Name), LastModified: aws.Ptr(d.Modified), Size: aws.Ptr(int64(len(d.Body))),
		})
	}
	return out, nil
}

// DeleteDashboards deletes dashboards: all of them, or none when one is not there.
func (s *Service) DeleteDashboards(ctx context.Context, in *cwapi.DeleteDashboardsInput) (*cwapi.DeleteDashboardsOutput, error) {
	p := place(ctx)
	err := store.Update(ctx, s.store, func(tx *store.Tx) error {
		for _, name := range in.DashboardNames {
			_, found, err := s.dashboards.TxGet(tx, p.Account, name)
			switch {
			case err != nil:
				return err
			case !found:
				return noDashboard(name)
			}
			s.dashboards.TxDelete(tx, p.Account, name)
		}
		return nil
	})
	return &cwapi.DeleteDashboardsOutput{}, err
}
