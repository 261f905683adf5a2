package spec

import (
	"path/filepath"
	"slices"
	"strconv"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
	"minato/services/ecs/definition"
)

// volumes are the mounts of a container: its mount points, what its image
// declares as volumes besides, and those of the containers that it takes volumes
// from.
func (t *Task) volumes(def *ecsapi.ContainerDefinition) []container.Mount {
	return t.volumesOf(def, map[string]bool{})
}

func (t *Task) volumesOf(def *ecsapi.ContainerDefinition, asked map[string]bool) []container.Mount {
	name := aws.Val(def.Name)
	if asked[name] {
		return nil // they take from each other
	}
	asked[name] = true
	var out []container.Mount
	taken := func(target string) bool {
		return slices.ContainsFunc(out, func(m container.Mount) bool { return filepath.Clean(m.Target) == filepath.Clean(target) })
	}
	for _, m := range def.MountPoints {
		x := t.source(aws.Val(m.SourceVolume))
		x.Target, x.ReadOnly = aws.Val(m.ContainerPath), aws.Val(m.ReadOnly)
		out = append(out, x)
	}
	for i, target := range t.ImageVolumes[name] {
		if !taken(target) {
			out = append(out, container.Mount{Source: filepath.Join(t.Volumes, "."+name, strconv.Itoa(i)), Target: target, Seed: true})
		}
	}
	for _, from := range def.VolumesFrom {
		other := definition.Container(t.Definition, aws.Val(from.SourceContainer))
		if other == nil {
			continue // registration refuses it
		}
		for _, m := range t.volumesOf(other, asked) {
			if !taken(m.Target) {
				m.ReadOnly = m.ReadOnly || aws.Val(from.ReadOnly)
				out = append(out, m)
			}
		}
	}
	return out
}

// source is where a volume's content is. The task's own are filled from the
// image, as docker does; a file system is what it is.
func (t *Task) source(volume string) container.Mount {
	for i := range t.Definition.Volumes {
		v := &t.Definition.Volumes[i]
		if e := v.EfsVolumeConfiguration; e != nil && aws.Val(v.Name) == volume {
			return container.Mount{Source: filepath.Join(t.FileSystems, aws.Val(e.FileSystemId), filepath.Join("/", aws.Val(e.RootDirectory)))}
		}
	}
	return container.Mount{Source: filepath.Join(t.Volumes, volume), Seed: true}
}
