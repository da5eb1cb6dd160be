package qn

// Linearize solves a closed network approximately, however small it is.
func Linearize(n *Network) (Solution, error) {
	c, err := n.prepare()
	if err != nil {
		return Solution{}, err
	}
	var s Solution
	c.approximate(&s)
	n.tell(&s, c)
	return s, nil
}
