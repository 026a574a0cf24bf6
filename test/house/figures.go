package house

import (
	"fmt"
	"slices"
	"strings"
)

// Figures are STYLE's measures of how the house reads.
type Figures struct {
	Packages, Files              int
	FunctionMedian, FunctionP90  int // lines
	FileMedian, FileP90          int // lines
	FilesMedian, FilesP90        int // a package
	ExportedMedian, ExportedP90  int // names a package, without methods
	Documented                   float64
	CommentLines, CodeLines      int
	LongestFunction, LongestFile string
}

// Measure takes the figures of the code that is no test.
func Measure(t *Tree) Figures {
	var f Figures
	var functionLines, fileLines []int
	files, names := map[string]int{}, map[string]int{}
	documented, all := 0, 0
	longestFunction, longestFile := 0, 0
	for _, file := range t.Files {
		if file.Test {
			continue
		}
		files[file.Dir]++
		fileLines = append(fileLines, file.Lines)
		if file.Lines > longestFile {
			longestFile, f.LongestFile = file.Lines, fmt.Sprintf("%s, %d lines", file.Path, file.Lines)
		}
		for _, fn := range functions(file) {
			n := t.lines(fn)
			functionLines = append(functionLines, n)
			if n > longestFunction {
				longestFunction, f.LongestFunction = n, fmt.Sprintf("%s in %s, %d lines", fn.Name.Name, file.Path, n)
			}
		}
		for _, e := range exported(file) {
			all++
			if !e.method {
				names[file.Dir]++
			}
			if e.documented {
				documented++
			}
		}
		comments, code := t.weigh(file)
		f.CommentLines, f.CodeLines = f.CommentLines+comments, f.CodeLines+code
	}
	f.Packages, f.Files = len(files), len(fileLines)
	f.FunctionMedian, f.FunctionP90 = spread(functionLines)
	f.FileMedian, f.FileP90 = spread(fileLines)
	f.FilesMedian, f.FilesP90 = spread(values(files))
	f.ExportedMedian, f.ExportedP90 = spread(values(names))
	f.Documented = 100 * float64(documented) / float64(max(all, 1))
	return f
}

// weigh counts the lines of comments and those of code; blank lines are neither.
func (t *Tree) weigh(f *File) (comments, code int) {
	for _, group := range f.AST.Comments {
		comments += t.lines(group)
	}
	return comments, f.Lines - f.Blank - comments
}

func values(m map[string]int) []int {
	var out []int
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

// spread gives the median and the ninth decile.
func spread(n []int) (median, p90 int) {
	if len(n) == 0 {
		return 0, 0
	}
	slices.Sort(n)
	return n[len(n)/2], n[len(n)*9/10]
}

// String prints the figures beside those that STYLE aims for.
func (f Figures) String() string {
	var b strings.Builder
	line := func(what, value, aim string) { fmt.Fprintf(&b, "  %-28s %-22s %s\n", what, value, aim) }
	pair := func(median, p90 int) string { return fmt.Sprintf("%d, p90 %d", median, p90) }
	line("packages, files", fmt.Sprintf("%d, %d", f.Packages, f.Files), "")
	line("lines a function, median", pair(f.FunctionMedian, f.FunctionP90), "aim: 5–11, p90 ≤ 44")
	line("lines a file, median", pair(f.FileMedian, f.FileP90), "aim: ~100, p90 ~350")
	line("files a package, median", pair(f.FilesMedian, f.FilesP90), "aim: 1–4")
	line("exported names a package", pair(f.ExportedMedian, f.ExportedP90), "aim: 1–8")
	line("exported names documented", fmt.Sprintf("%.1f %%", f.Documented), "aim: 100 %")
	line("code lines to a comment line", fmt.Sprintf("%.1f", float64(f.CodeLines)/float64(max(f.CommentLines, 1))), "aim: about 4")
	line("longest function", f.LongestFunction, "")
	line("longest file", f.LongestFile, "")
	return b.String()
}
