// Command schemas writes the JSON schemas that `cargo xtask chart` checks rendered charts against.
//
// It makes them of what the projects themselves publish in their Go modules: the OpenAPI document of
// Kubernetes, at the oldest and the newest version that the chart supports, and the definitions of custom
// resources. Every object is closed, so that a field that does not exist is an error, and descriptions
// are left out. Only kinds are kept that the chart renders. To add one, or to move a version, change the
// tables and run `go run ./schemas ../../../helm/schemas`, here.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

var kubernetes = []string{"v1.30.14", "v1.36.3"}

// The kinds of Kubernetes, by group and version.
var kinds = map[string][]string{
	"v1":                   {"ConfigMap", "Pod", "Secret", "Service", "ServiceAccount"},
	"apps/v1":              {"Deployment", "StatefulSet"},
	"autoscaling/v2":       {"HorizontalPodAutoscaler"},
	"networking.k8s.io/v1": {"Ingress", "NetworkPolicy"},
	"policy/v1":            {"PodDisruptionBudget"},
}

// Files of definitions, in modules.
var definitions = map[string][]string{
	"sigs.k8s.io/gateway-api@v1.4.1": {
		"config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
		"config/crd/standard/gateway.networking.k8s.io_backendtlspolicies.yaml",
	},
	"github.com/cert-manager/cert-manager@v1.19.1": {"deploy/crds/cert-manager.io_certificates.yaml"},
	"github.com/prometheus-operator/prometheus-operator@v0.85.0": {
		"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
		"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
	},
	"github.com/kedacore/keda/v2@v2.20.2": {"config/crd/bases/keda.sh_scaledobjects.yaml"},
}

type object = map[string]any

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: schemas FOLDER")
	}
	folder := os.Args[1]
	for _, version := range kubernetes {
		fromKubernetes(version, filepath.Join(folder, version))
	}
	for module, files := range definitions {
		root := download(module)
		for _, file := range files {
			fromDefinition(filepath.Join(root, file), filepath.Join(folder, "custom"))
		}
	}
}

// download fetches a module and says where it lies.
func download(module string) string {
	command := exec.Command("go", "mod", "download", "-json", module)
	command.Stderr = os.Stderr
	answer, err := command.Output()
	check(err)
	var found struct{ Dir string }
	check(json.Unmarshal(answer, &found))
	return found.Dir
}

func fromKubernetes(version, folder string) {
	root := download("k8s.io/kubernetes@" + version)
	text, err := os.ReadFile(filepath.Join(root, "api/openapi-spec/swagger.json"))
	check(err)
	var document struct{ Definitions map[string]object }
	check(json.Unmarshal(text, &document))
	for groupVersion, names := range kinds {
		group, apiVersion, ok := strings.Cut(groupVersion, "/")
		if !ok {
			group, apiVersion = "", group
		}
		for _, kind := range names {
			schema := find(document.Definitions, group, apiVersion, kind)
			closed := inline(document.Definitions, schema).(object)
			suffix := "-" + apiVersion
			if group != "" {
				suffix = "-" + strings.Split(group, ".")[0] + suffix
			}
			write(filepath.Join(folder, strings.ToLower(kind)+suffix+".json"), closed)
		}
	}
}

// find returns the definition of a kind.
func find(all map[string]object, group, version, kind string) object {
	for _, definition := range all {
		marks, _ := definition["x-kubernetes-group-version-kind"].([]any)
		for _, mark := range marks {
			mark := mark.(object)
			if mark["group"] == group && mark["version"] == version && mark["kind"] == kind {
				return definition
			}
		}
	}
	log.Fatalf("there is no %s/%s %s", group, version, kind)
	return nil
}

// inline puts what is referred to in the place of references, and closes objects.
func inline(all map[string]object, schema any) any {
	switch schema := schema.(type) {
	case []any:
		items := make([]any, len(schema))
		for place, item := range schema {
			items[place] = inline(all, item)
		}
		return items
	case object:
		if reference, ok := schema["$ref"].(string); ok {
			name := strings.TrimPrefix(reference, "#/definitions/")
			switch {
			case strings.HasSuffix(name, ".IntOrString"), strings.HasSuffix(name, ".Quantity"):
				return object{"type": []any{"string", "number"}}
			}
			return inline(all, all[name])
		}
		out := object{}
		for key, value := range schema {
			if key == "description" && isText(value) || key == "default" || strings.HasPrefix(key, "x-") {
				continue
			}
			if key == "properties" {
				properties := object{}
				for name, property := range value.(object) {
					properties[name] = inline(all, property)
				}
				out[key] = properties
				continue
			}
			out[key] = inline(all, value)
		}
		return closed(out)
	default:
		return schema
	}
}

func isText(value any) bool {
	_, ok := value.(string)
	return ok
}

// closed refuses properties that are not named, where some are.
func closed(schema object) object {
	if _, open := schema["additionalProperties"]; open {
		return schema
	}
	if _, named := schema["properties"]; named {
		schema["additionalProperties"] = false
	}
	return schema
}

func fromDefinition(path, folder string) {
	text, err := os.ReadFile(path)
	check(err)
	var definition struct {
		Spec struct {
			Group    string
			Names    struct{ Kind string }
			Versions []struct {
				Name   string
				Served bool
				Schema struct{ OpenAPIV3Schema object }
			}
		}
	}
	check(yaml.Unmarshal(text, &definition))
	spec := definition.Spec
	for _, version := range spec.Versions {
		if !version.Served {
			continue
		}
		schema := ofDefinition(version.Schema.OpenAPIV3Schema).(object)
		// The API server knows what every object has.
		schema["properties"].(object)["metadata"] = object{"type": "object"}
		name := fmt.Sprintf("%s_%s.json", strings.ToLower(spec.Names.Kind), version.Name)
		write(filepath.Join(folder, spec.Group, name), schema)
	}
}

// ofDefinition does for definitions of custom resources what inline does, which have no references.
func ofDefinition(schema any) any {
	switch schema := schema.(type) {
	case []any:
		for place, item := range schema {
			schema[place] = ofDefinition(item)
		}
		return schema
	case object:
		if schema["x-kubernetes-int-or-string"] == true {
			return object{"type": []any{"string", "number"}}
		}
		out := object{}
		for key, value := range schema {
			switch {
			case key == "description" && isText(value), key == "default", strings.HasPrefix(key, "x-"):
			case key == "properties":
				properties := object{}
				for name, property := range value.(object) {
					properties[name] = ofDefinition(property)
				}
				out[key] = properties
			default:
				out[key] = ofDefinition(value)
			}
		}
		if schema["x-kubernetes-preserve-unknown-fields"] == true {
			return out
		}
		return closed(out)
	default:
		return schema
	}
}

func write(path string, schema object) {
	check(os.MkdirAll(filepath.Dir(path), 0o755))
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	check(encoder.Encode(schema))
	check(os.WriteFile(path, text.Bytes(), 0o644))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
