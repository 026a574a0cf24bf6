package main

import (
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/seed-21071466/souk/cmd/souk/shop"
	"github.com/seed-21071466/souk/kit/config"
)

type configCmd struct {
	File string   `name:"config" help:"File of settings, YAML or JSON." env:"SOUK_CONFIG" type:"path"`
	Set  []string `help:"One setting, such as orders.deadline=5m; may be repeated." sep:"none"`
	JSON bool     `name:"json" help:"Print JSON."`
}

// Run prints what holds and whence.
func (c *configCmd) Run() error {
	_, loaded, err := load(c.File, c.Set)
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(loaded.Settings())
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SETTING\tVALUE\tFROM\tWHAT")
	for _, s := range loaded.Settings() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Name, s.Value, s.Whence, s.Help)
	}
	return w.Flush()
}

// elsewhere are the variables that are no settings of a room.
var elsewhere = []string{
	"SOUK_TARGET", "SOUK_DATA", "SOUK_HTTP", "SOUK_CONFIG", "SOUK_SAMPLE", "SOUK_LOG", "SOUK_URL", "SOUK_KEY", envBusFaults,
	"SOUK_CRASHPOINT", "SOUK_CRASHPOINT_ARM", "SOUK_CRASHPOINT_LOG", "SOUK_TEST_BINARY", "SOUK_TEST_PLACEMENT",
}

// load reads the settings from flags, environment and file, in that order of strength.
func load(file string, set []string) (s shop.Settings, loaded *config.Loaded, err error) {
	flags, err := pairs(set)
	if err != nil {
		return s, nil, err
	}
	loaded, err = config.Load(s.Sections(), config.Sources{Flags: flags, Env: os.Environ(), File: file, Elsewhere: elsewhere})
	return s, loaded, err
}
