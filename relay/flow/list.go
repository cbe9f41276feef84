package flow

// links are a flow's place in a list.
type links struct{ older, newer *flow }

// list holds flows, the oldest first. place tells which links it goes by.
type list struct {
	oldest, newest *flow
	place          func(*flow) *links
}

func (l *list) push(f *flow) {
	at := l.place(f)
	at.older, at.newer = l.newest, nil
	if l.newest != nil {
		l.place(l.newest).newer = f
	} else {
		l.oldest = f
	}
	l.newest = f
}

func (l *list) remove(f *flow) {
	at := l.place(f)
	if at.older != nil {
		l.place(at.older).newer = at.newer
	} else {
		l.oldest = at.newer
	}
	if at.newer != nil {
		l.place(at.newer).older = at.older
	} else {
		l.newest = at.older
	}
	*at = links{}
}

// renew makes f the newest.
func (l *list) renew(f *flow) {
	if l.newest != f {
		l.remove(f)
		l.push(f)
	}
}

func byAge(f *flow) *links  { return &f.byAge }
func byAddr(f *flow) *links { return &f.byAddr }
