package qn

// Linearize solves a closed network approximately, however small it is.
func Linearize(n *Network) (Solution, error) {
	if err := n.Check(); err != nil {
		return Solution{}, err
	}
	s := Solution{Classes: make([]ClassSolution, len(n.Classes)), Stations: make([]StationSolution, len(n.Stations))}
	open := make([]float64, len(n.Stations))
	c := n.closedPart(open, &s)
	c.approximate(&s)
	n.tell(&s, open, c)
	return s, nil
}
