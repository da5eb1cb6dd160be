package bpel

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// literal is a text without the quotes that make it one in XPath.
func literal(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && (s[0] == '\'' || s[0] == '"') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}

// duration reads one of XML Schema (ISO 8601): P1DT2H3M4.5S. A month counts as 30 days and a year as 365.
func duration(s string) (time.Duration, bool) {
	form := regexp.MustCompile(`^P(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?$`)
	m := form.FindStringSubmatch(s)
	if m == nil || s == "P" || strings.HasSuffix(s, "T") {
		return 0, false
	}
	seconds := 0.0
	for i, unit := range []float64{365 * 86400, 30 * 86400, 86400, 3600, 60, 1} {
		if m[i+1] == "" {
			continue
		}
		x, err := strconv.ParseFloat(m[i+1], 64)
		if err != nil {
			return 0, false
		}
		seconds += x * unit
	}
	if seconds > 100*365*86400 {
		seconds = 100 * 365 * 86400
	}
	return time.Duration(seconds * 1e9), true
}
