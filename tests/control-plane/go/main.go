// Command control-plane is a Kubernetes control plane in one file: etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler, and kwok in the kubelets' place. And kubectl to look at it, and two small helpers to start it.
//
//	control-plane [while-stdin] COMPONENT [FLAG…]
//
// Nothing of the components is changed: each takes its own flags. With `while-stdin` the process ends when its standard
// input does, so that whoever starts it and keeps the other end of the pipe leaves nothing running, even when killed.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

const whileStdin = "while-stdin"

// components are what the first argument can name. Each finds its own name and flags in os.Args.
var components = map[string]func(){
	"await":                   await,
	"etcd":                    func() { etcdmain.Main(os.Args) },
	"kube-apiserver":          func() { run(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() { run(manager.NewControllerManagerCommand()) },
	"kube-scheduler":          func() { run(scheduler.NewSchedulerCommand()) },
	"kubectl":                 func() { run(kubectl.NewDefaultKubectlCommand()) },
	"kwok":                    kwok,
	"new-key":                 newKey,
}

func main() {
	arguments := os.Args[1:]
	if len(arguments) > 0 && arguments[0] == whileStdin {
		arguments = arguments[1:]
		go endWithStdin()
	}
	if len(arguments) == 0 {
		refuse("no component named")
	}
	start, known := components[arguments[0]]
	if !known {
		refuse(fmt.Sprintf("there is no component %q", arguments[0]))
	}
	os.Args = arguments
	start()
}

// endWithStdin ends the process at once: what it held is of no use without whoever started it.
func endWithStdin() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func run(command *cobra.Command) {
	os.Exit(cli.Run(command))
}

func refuse(problem string) {
	fmt.Fprintf(os.Stderr, "control-plane: %s\nusage: control-plane [%s] COMPONENT [FLAG...]\n", problem, whileStdin)
	os.Exit(2)
}
