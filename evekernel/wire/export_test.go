package wire

// Frames returns the frames of one message.
func Frames(c *Codec, b []byte) ([]*Frame, error) {
	var fs []*Frame
	for len(b) > 0 {
		f, n, err := c.next(b)
		if err != nil {
			return fs, err
		}
		fs, b = append(fs, f), b[n:]
	}
	return fs, nil
}
