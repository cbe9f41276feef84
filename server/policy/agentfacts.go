package policy

import "github.com/mileusna/useragent"

// agentFacts is req.user_agent: its text, and what is told by it. Whoever asks can say there
// what he likes.
type agentFacts string

// Text implements expression.Text.
func (f agentFacts) Text() string { return string(f) }

// Field implements expression.Object. Nothing is said of a request without a User-Agent.
func (f agentFacts) Field(name string) any {
	if f == "" {
		return nil
	}
	agent := useragent.Parse(string(f))
	switch name {
	case "name":
		return given(agent.Name)
	case "version":
		return given(agent.Version)
	case "os":
		return given(agent.OS)
	case "os_version":
		return given(agent.OSVersion)
	case "device":
		return given(agent.Device)
	case "url":
		return given(agent.URL)
	case "is_mobile":
		return agent.Mobile
	case "is_tablet":
		return agent.Tablet
	case "is_desktop":
		return agent.Desktop
	case "is_bot":
		return agent.Bot
	}
	return nil
}
