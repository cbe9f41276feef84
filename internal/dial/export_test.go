package dial

// ReadAnswer lets tests read a proxy's answer.
func ReadAnswer(r interface{ Read([]byte) (int, error) }) (int, error) { return readAnswer(r) }
