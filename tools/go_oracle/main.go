// Answers what the real Go libraries make of an object: decoding, strategic merges, field ownership and protobuf bodies.
//
// One JSON request a line on stdin, one reply a line on stdout: {"ok": …} or {"error": "…"}. record.py asks it for the cases of the tests.
//
// Build with the packages of Debian's golang-k8s-client-go-dev (and what it depends on) below GOPATH/src:
//
//	GO111MODULE=off GOPATH=…/usr/share/gocode go build -o go-oracle .
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
)

type step struct {
	Type        string          `json:"type"`
	Manager     string          `json:"manager"`
	Subresource string          `json:"subresource"`
	Force       bool            `json:"force"`
	Object      json.RawMessage `json:"object"`
}
type request struct {
	Op         string          `json:"op"`
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Object     json.RawMessage `json:"object"`
	Patch      json.RawMessage `json:"patch"`
	Text       string          `json:"text"`
	Strict     bool            `json:"strict"`
	Steps      []step          `json:"steps"`
}
type noDefault struct{}

func (noDefault) Default(runtime.Object) {}

type conv struct{ s *runtime.Scheme }

func (c conv) Convert(in, out, context interface{}) error { return c.s.Convert(in, out, context) }
func (c conv) ConvertToVersion(in runtime.Object, gv runtime.GroupVersioner) (runtime.Object, error) {
	if u, ok := in.(*unstructured.Unstructured); ok {
		gvk := u.GroupVersionKind()
		o, err := c.s.New(gvk)
		if err != nil {
			return nil, err
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, o); err != nil {
			return nil, err
		}
		o.GetObjectKind().SetGroupVersionKind(gvk)
		return o, nil
	}
	gvks, _, err := c.s.ObjectKinds(in)
	if err != nil {
		return nil, err
	}
	o := in.DeepCopyObject()
	o.GetObjectKind().SetGroupVersionKind(gvks[0])
	return o, nil
}
func (c conv) ConvertFieldLabel(gvk schema.GroupVersionKind, label, value string) (string, string, error) {
	return label, value, nil
}

func fields(r request) (interface{}, error) {
	s := scheme.Scheme
	gv, _ := schema.ParseGroupVersion(r.APIVersion)
	gvk := gv.WithKind(r.Kind)
	tc := applyconfigurations.NewTypeConverter(s)
	live, err := s.New(gvk)
	if err != nil {
		return nil, err
	}
	live.GetObjectKind().SetGroupVersionKind(gvk)
	out := []interface{}{}
	for _, st := range r.Steps {
		fm, err := managedfields.NewDefaultFieldManager(tc, conv{s}, noDefault{}, s, gvk, gv, st.Subresource, nil)
		if err != nil {
			return nil, err
		}
		var result runtime.Object
		if st.Type == "apply" {
			u := &unstructured.Unstructured{}
			if err := json.Unmarshal(st.Object, &u.Object); err != nil {
				return nil, err
			}
			result, err = fm.Apply(live, u, st.Manager, st.Force)
		} else {
			o, _ := s.New(gvk)
			if err := json.Unmarshal(st.Object, o); err != nil {
				return nil, err
			}
			o.GetObjectKind().SetGroupVersionKind(gvk)
			a, _ := meta.Accessor(o)
			la, _ := meta.Accessor(live)
			if a.GetManagedFields() == nil {
				a.SetManagedFields(la.GetManagedFields())
			}
			result, err = fm.Update(live, o, st.Manager)
		}
		if err != nil {
			out = append(out, map[string]interface{}{"error": err.Error()})
			continue
		}
		b, err := json.Marshal(result)
		if err != nil {
			return nil, err
		}
		live, _ = s.New(gvk)
		if err := json.Unmarshal(b, live); err != nil {
			return nil, err
		}
		live.GetObjectKind().SetGroupVersionKind(gvk)
		a, _ := meta.Accessor(live)
		if a.GetUID() == "" {
			a.SetUID("1")
		}
		b, _ = json.Marshal(live)
		out = append(out, json.RawMessage(b))
	}
	return out, nil
}

func handle(r request) (interface{}, error) {
	s := scheme.Scheme
	gv, _ := schema.ParseGroupVersion(r.APIVersion)
	gvk := gv.WithKind(r.Kind)
	switch r.Op {
	case "fields":
		return fields(r)
	case "decode":
		ser := kjson.NewSerializerWithOptions(kjson.DefaultMetaFactory, s, s, kjson.SerializerOptions{Strict: r.Strict})
		o, _, err := ser.Decode([]byte(r.Text), nil, nil)
		if err != nil {
			if runtime.IsStrictDecodingError(err) {
				b, _ := json.Marshal(o)
				return map[string]interface{}{"strict": err.Error(), "object": json.RawMessage(b)}, nil
			}
			return nil, err
		}
		b, _ := json.Marshal(o)
		return map[string]interface{}{"object": json.RawMessage(b)}, nil
	case "convert":
		o, err := s.New(gvk)
		if err != nil {
			return nil, err
		}
		var m map[string]interface{}
		if err := utiljson.Unmarshal(r.Object, &m); err != nil {
			return nil, err
		}
		err = runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(m, o, r.Strict)
		if err != nil && !runtime.IsStrictDecodingError(err) {
			return nil, err
		}
		res := map[string]interface{}{}
		if err != nil {
			res["strict"] = err.Error()
		}
		b, _ := json.Marshal(o)
		res["object"] = json.RawMessage(b)
		return res, nil
	case "proto":
		o, err := s.New(gvk)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(r.Object, o); err != nil {
			return nil, err
		}
		o.GetObjectKind().SetGroupVersionKind(gvk)
		b, err := runtime.Encode(protobuf.NewSerializer(s, s), o)
		if err != nil {
			return nil, err
		}
		j, _ := json.Marshal(o)
		return map[string]interface{}{"body": base64.StdEncoding.EncodeToString(b), "object": json.RawMessage(j)}, nil
	case "strategic":
		o, err := s.New(gvk)
		if err != nil {
			return nil, err
		}
		ps, err := strategicpatch.NewPatchMetaFromStruct(o)
		if err != nil {
			return nil, err
		}
		var om, pm strategicpatch.JSONMap
		if err := json.Unmarshal(r.Object, &om); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(r.Patch, &pm); err != nil {
			return nil, err
		}
		return strategicpatch.StrategicMergeMapPatchUsingLookupPatchMeta(om, pm, ps)
	}
	return nil, fmt.Errorf("unknown op")
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	dec := json.NewDecoder(in)
	enc := json.NewEncoder(os.Stdout)
	for {
		var r request
		if err := dec.Decode(&r); err != nil {
			return
		}
		res := func() (m map[string]interface{}) {
			defer func() {
				if p := recover(); p != nil {
					m = map[string]interface{}{"panic": fmt.Sprint(p)}
				}
			}()
			v, err := handle(r)
			if err != nil {
				return map[string]interface{}{"error": err.Error()}
			}
			return map[string]interface{}{"ok": v}
		}()
		enc.Encode(res)
	}
}
