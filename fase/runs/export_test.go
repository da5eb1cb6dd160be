package runs

// Judge is judge.
func (p *Page) Judge(mean, variance float64, once bool, begun int64, pages int) {
	p.judge(mean, variance, once, begun, pages)
}
