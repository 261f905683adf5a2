package protocol

import (
	"bytes"
	"encoding/xml"
	"io"
	"reflect"
	"strings"

	"minato/aws"
)

// malformedXML is S3's error for a body that is not what its schema says.
func malformedXML(cause error) *aws.Error {
	return aws.Errorf("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema").Because(cause)
}

// element is an XML element, read whole: bodies are small.
type element struct {
	name     string
	attrs    []xml.Attr
	text     strings.Builder
	children []*element
}

// decodeXML sets dst from a document whose root has the name. Namespaces are
// not looked at, as S3 does not; elements that the model does not know are
// ignored, those that it knows and that cannot be are an error.
func decodeXML(body []byte, dst reflect.Value, root string, s *aws.Shape) error {
	d := xml.NewDecoder(bytes.NewReader(body))
	var top *element
	var path []*element
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return malformedXML(err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			e := &element{name: t.Name.Local, attrs: t.Attr}
			switch {
			case len(path) >= maxDepth, len(path) == 0 && top != nil:
				return malformedXML(nil)
			case len(path) == 0:
				top = e
			default:
				parent := path[len(path)-1]
				parent.children = append(parent.children, e)
			}
			path = append(path, e)
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if len(path) > 0 {
				path[len(path)-1].text.Write(t)
			}
		case xml.Directive:
			return malformedXML(nil) // a DOCTYPE has no business here
		}
	}
	if top == nil || top.name != root {
		return malformedXML(nil)
	}
	return top.set(dst, s)
}

// set sets dst, a member or an element of a list, from the element.
func (e *element) set(dst reflect.Value, s *aws.Shape) error {
	if dst.Kind() == reflect.Pointer {
		p := reflect.New(dst.Type().Elem())
		if err := e.set(p.Elem(), s); err != nil {
			return err
		}
		dst.Set(p)
		return nil
	}
	switch s.Kind {
	case aws.Structure:
		return e.structure(dst, s)
	case aws.List:
		dst.Set(reflect.MakeSlice(dst.Type(), 0, len(e.children)))
		for _, child := range e.children {
			if child.name != s.ElemName {
				continue
			}
			if err := child.add(dst, s); err != nil {
				return err
			}
		}
		return nil
	}
	text := e.text.String()
	if s.Kind != aws.String {
		text = strings.TrimSpace(text)
	}
	if err := (formDecoder{}).scalar(dst, s, &node{name: e.name, value: text, set: true}); err != nil {
		return malformedXML(err)
	}
	return nil
}

// add appends the element to a list.
func (e *element) add(list reflect.Value, s *aws.Shape) error {
	item := reflect.New(list.Type().Elem()).Elem()
	if err := e.set(item, s.Elem); err != nil {
		return err
	}
	list.Set(reflect.Append(list, item))
	return nil
}

func (e *element) structure(dst reflect.Value, s *aws.Shape) error {
	for i := range s.Members {
		m := &s.Members[i]
		f := dst.Field(m.Index)
		if m.Attribute {
			for _, a := range e.attrs {
				if a.Name.Local == m.WireName[strings.IndexByte(m.WireName, ':')+1:] {
					text := a.Value
					f.Set(reflect.ValueOf(&text))
				}
			}
			continue
		}
		flat := m.Shape.Kind == aws.List && (m.Flattened || m.Shape.Flattened)
		for _, child := range e.children {
			if child.name != m.WireName {
				continue
			}
			var err error
			if flat {
				err = child.add(f, m.Shape)
			} else {
				err = child.set(f, m.Shape)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
