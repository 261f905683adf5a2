package aws

// Kind is the type of a Shape.
type Kind uint8

// The kinds of shapes that models know.
const (
	Structure Kind = iota
	List
	Map
	String
	Integer
	Long
	Float
	Double
	Boolean
	Timestamp
	Blob
	Document // any JSON value
	Stream   // a body that is not held in memory: an io.ReadCloser
)

// Shape is what codecs and validation need to know of a model's shape: wire
// names and constraints. Generated packages hold them; they may be recursive.
type Shape struct {
	Name      string
	Kind      Kind
	Members   []Member // of a Structure, in the model's order
	Elem      *Shape   // of a List or Map value
	Key       *Shape   // of a Map
	ElemName  string   // locationName of list elements ("member" where none is given)
	KeyName   string   // locationName of map keys ("key")
	ValueName string   // locationName of map values ("value")
	Flattened bool
	Min, Max  *float64 // length or range
	Pattern   string   // as in the model; Java syntax, anchored where the model anchors
	Enum      []string
	Format    string // timestampFormat
	Sensitive bool
	Payload   string // member that is the whole body, REST protocols
	Namespace string // an attribute of its element that declares an XML namespace
}

// Member is one member of a Structure.
type Member struct {
	Name       string // name in the model and json tag
	Index      int    // field index in the Go struct
	Shape      *Shape
	WireName   string // locationName, or Name
	QueryName  string // ec2's queryName, or what it derives
	Location   string // "", header, headers, querystring, uri, statusCode
	Required   bool
	Flattened  bool
	Attribute  bool // an attribute of the element, in XML
	Idempotent bool // idempotencyToken
}
