package stat

import "math"

// Welch returns the difference of the means of two sets of independent samples, mean(b) - mean(a), with an interval that takes
// neither variances nor numbers for equal (Welch, "The Generalization of 'Student's' Problem when Several Different Population
// Variances are Involved", Biometrika 34, 1947; degrees of freedom of Satterthwaite, 1946). Each needs two samples.
func Welch(a, b []float64, confidence float64) (Estimate, error) {
	if len(a) < 2 || len(b) < 2 {
		return Estimate{}, ErrTooShort
	}
	if !(confidence > 0 && confidence < 1) {
		return Estimate{}, ErrRange
	}
	ma, va := moments(a)
	mb, vb := moments(b)
	na, nb := float64(len(a)), float64(len(b))
	ea, eb := va/na, vb/nb
	half := 0.0
	if se := ea + eb; se > 0 {
		freedom := se * se / (ea*ea/(na-1) + eb*eb/(nb-1))
		half = studentAt(freedom, confidence) * math.Sqrt(se)
	}
	d := mb - ma
	return Estimate{Value: d, Low: d - half, High: d + half, Confidence: confidence, N: len(a) + len(b), Batches: len(a) + len(b)}, nil
}
