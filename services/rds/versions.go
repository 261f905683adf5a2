package rds

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	rdsapi "minato/aws/api/rds"
	"minato/aws/arn"
)

// descriptions are the engines' names for people.
var descriptions = map[string]string{"mysql": "MySQL Community Edition", "mariadb": "MariaDB Community Edition", "postgres": "PostgreSQL"}

// Actual says what really runs for an instance when that is not what it is
// called, such as "MariaDB 10.11.14 stands in for MySQL 8.0.43"; else "".
func (s *Service) Actual(db rdsapi.DBInstance) string {
	engine, wanted := aws.Val(db.Engine), aws.Val(db.EngineVersion)
	product, err := s.Databases.Product(engine)
	switch {
	case err != nil:
		return err.Error()
	case product.StandsIn():
		return fmt.Sprintf("%s %s stands in for MySQL %s", product.Name, product.Version, wanted)
	case product.Version != wanted:
		return fmt.Sprintf("%s %s runs for version %s", product.Name, product.Version, wanted)
	}
	return ""
}

// DescribeDBEngineVersions implements rdsapi.API.
func (s *Service) DescribeDBEngineVersions(ctx context.Context, in *rdsapi.DescribeDBEngineVersionsInput) (*rdsapi.DescribeDBEngineVersionsOutput, error) {
	all := []rdsapi.DBEngineVersion{}
	for _, engine := range slices.Sorted(maps.Keys(engines)) {
		if in.Engine != nil && !strings.EqualFold(*in.Engine, engine) {
			continue
		}
		for _, v := range engines[engine].Versions {
			wanted := aws.Val(in.EngineVersion)
			if wanted != "" && wanted != v && wanted != majorVersion(engine, v) ||
				in.DBParameterGroupFamily != nil && *in.DBParameterGroupFamily != family(engine, v) ||
				aws.Val(in.DefaultOnly) && !isDefault(engine, v, wanted) {
				continue
			}
			all = append(all, engineVersion(engine, v))
		}
	}
	all, err := filter(all, in.Filters, map[string]func(rdsapi.DBEngineVersion) string{
		"engine":                    func(v rdsapi.DBEngineVersion) string { return aws.Val(v.Engine) },
		"engine-version":            func(v rdsapi.DBEngineVersion) string { return aws.Val(v.EngineVersion) },
		"db-parameter-group-family": func(v rdsapi.DBEngineVersion) string { return aws.Val(v.DBParameterGroupFamily) },
		"engine-mode":               func(rdsapi.DBEngineVersion) string { return "provisioned" },
		"status":                    func(v rdsapi.DBEngineVersion) string { return aws.Val(v.Status) },
	})
	if err != nil {
		return nil, err
	}
	index := map[string]string{}
	for i, v := range all {
		index[aws.Val(v.Engine)+" "+aws.Val(v.EngineVersion)] = order4(i)
	}
	all, marker, err := page(all, func(v rdsapi.DBEngineVersion) string { return index[aws.Val(v.Engine)+" "+aws.Val(v.EngineVersion)] }, in.Marker, in.MaxRecords)
	if err != nil {
		return nil, err
	}
	return &rdsapi.DescribeDBEngineVersionsOutput{DBEngineVersions: all, Marker: marker}, nil
}

// isDefault says whether a version is what RDS takes for an engine, or for a
// major version of it.
func isDefault(engine, v, wanted string) bool {
	if wanted != "" && wanted == majorVersion(engine, v) {
		return v == newestOf(engine, wanted)
	}
	return v == engines[engine].Default
}

// order4 writes a place in a list so that it sorts.
func order4(i int) string {
	digits := []byte("0000")
	for p := len(digits) - 1; i > 0 && p >= 0; p, i = p-1, i/10 {
		digits[p] += byte(i % 10)
	}
	return string(digits)
}

func engineVersion(engine, v string) rdsapi.DBEngineVersion {
	out := rdsapi.DBEngineVersion{
		Engine: aws.Ptr(engine), EngineVersion: aws.Ptr(v), MajorEngineVersion: aws.Ptr(majorVersion(engine, v)), DBParameterGroupFamily: aws.Ptr(family(engine, v)),
		DBEngineDescription: aws.Ptr(descriptions[engine]), DBEngineVersionDescription: aws.Ptr(descriptions[engine] + " " + v), Status: aws.Ptr("available"),
		SupportsReadReplica: aws.Ptr(false), SupportsLogExportsToCloudwatchLogs: aws.Ptr(false), SupportsGlobalDatabases: aws.Ptr(false), SupportsParallelQuery: aws.Ptr(false),
		SupportsBabelfish: aws.Ptr(false), SupportsCertificateRotationWithoutRestart: aws.Ptr(false),
	}
	for _, to := range engines[engine].Versions {
		if compareVersions(to, v) > 0 {
			out.ValidUpgradeTarget = append(out.ValidUpgradeTarget, rdsapi.UpgradeTarget{
				Engine: aws.Ptr(engine), EngineVersion: aws.Ptr(to), Description: aws.Ptr(descriptions[engine] + " " + to), AutoUpgrade: aws.Ptr(false),
				IsMajorVersionUpgrade: aws.Ptr(majorVersion(engine, to) != majorVersion(engine, v)),
			})
		}
	}
	return out
}

// DescribeOrderableDBInstanceOptions implements rdsapi.API.
func (s *Service) DescribeOrderableDBInstanceOptions(ctx context.Context, in *rdsapi.DescribeOrderableDBInstanceOptionsInput) (*rdsapi.DescribeOrderableDBInstanceOptionsOutput, error) {
	engine, err := engineNamed(aws.Val(in.Engine))
	if err != nil {
		return nil, err
	}
	zones, err := s.zones(ctx, here(ctx))
	if err != nil {
		return nil, err
	}
	var all []rdsapi.OrderableDBInstanceOption
	for _, v := range engines[engine].Versions {
		if in.EngineVersion != nil && *in.EngineVersion != v {
			continue
		}
		for _, c := range engines[engine].Classes {
			if in.DBInstanceClass != nil && *in.DBInstanceClass != c || in.LicenseModel != nil && *in.LicenseModel != licenseModel(engine) {
				continue
			}
			if _, err := class(engine, v, c, false); err == nil {
				for _, storage := range storageTypes {
					all = append(all, orderable(engine, v, c, storage, zones))
				}
			}
		}
	}
	if all, err = filter(all, in.Filters, nil); err != nil {
		return nil, err
	}
	const longest = 10000
	all, marker, err := pageUpTo(longest, all, func(o rdsapi.OrderableDBInstanceOption) string {
		return order4(slices.Index(engines[engine].Versions, *o.EngineVersion)) + *o.DBInstanceClass + " " + order4(slices.Index(storageTypes, *o.StorageType))
	}, in.Marker, in.MaxRecords)
	if err != nil {
		return nil, err
	}
	return &rdsapi.DescribeOrderableDBInstanceOptionsOutput{OrderableDBInstanceOptions: append([]rdsapi.OrderableDBInstanceOption{}, all...), Marker: marker}, nil
}

func (s *Service) zones(ctx context.Context, p arn.Place) ([]rdsapi.AvailabilityZone, error) {
	out, err := s.EC2.DescribeAvailabilityZones(as(ctx, p), &ec2api.DescribeAvailabilityZonesInput{})
	if err != nil {
		return nil, err
	}
	var zones []rdsapi.AvailabilityZone
	for _, z := range out.AvailabilityZones {
		zones = append(zones, rdsapi.AvailabilityZone{Name: z.ZoneName})
	}
	return zones, nil
}

func orderable(engine, v, c, storage string, zones []rdsapi.AvailabilityZone) rdsapi.OrderableDBInstanceOption {
	no := aws.Ptr(false)
	return rdsapi.OrderableDBInstanceOption{
		Engine: aws.Ptr(engine), EngineVersion: aws.Ptr(v), DBInstanceClass: aws.Ptr(c), LicenseModel: aws.Ptr(licenseModel(engine)), AvailabilityZones: zones,
		StorageType: aws.Ptr(storage), MinStorageSize: aws.Ptr(int32(20)), MaxStorageSize: aws.Ptr(int32(65536)), Vpc: aws.Ptr(true), SupportedEngineModes: []string{"provisioned"},
		SupportedNetworkTypes: []string{"IPV4"}, MultiAZCapable: no, ReadReplicaCapable: no, SupportsStorageEncryption: no, SupportsIops: no, SupportsEnhancedMonitoring: no,
		SupportsIAMDatabaseAuthentication: no, SupportsPerformanceInsights: no, SupportsKerberosAuthentication: no, OutpostCapable: no, SupportsStorageAutoscaling: no,
		SupportsGlobalDatabases: no, SupportsClusters: no, SupportsDedicatedLogVolume: no, SupportsStorageThroughput: no,
	}
}
