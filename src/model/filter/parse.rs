//! From the text of a filter to its tree. The grammar is the crate `aip-160`'s, which nothing else here knows.

use aip_160::{Arg, Comparable, Comparator, Expression, Restriction};

use super::{
    Filter, FilterError, Order,
    fields::{self, Field, Values},
    scan::{self, Scan},
};

/// Largest filter in bytes. The contract says so too.
pub const MAX_BYTES: usize = 8192;
/// Most comparisons in one filter.
pub const MAX_COMPARISONS: usize = 200;
/// Most brackets around one another.
pub const MAX_DEPTH: usize = 32;

/// Reads a filter over the fields of a collection. An empty text is [`Filter::EVERYTHING`].
pub fn parse(fields: &'static [Field], text: &str) -> Result<Filter, FilterError> {
    if text.len() > MAX_BYTES {
        return Err(FilterError::TooComplex { what: "bytes", most: MAX_BYTES });
    }
    if let Some(position) = text.find('\0') {
        return Err(syntax(position, "U+0000 is not allowed"));
    }
    if let Some(position) = scan::keyword_at_bracket(text) {
        return Err(syntax(position, "expected a space between AND, OR or NOT and the bracket"));
    }
    let tree = aip_160::parse_filter_with_max_depth(text, MAX_DEPTH).map_err(refused)?;
    match &tree.expression {
        Some(expression) => Walk { fields, scan: Scan::new(text), comparisons: 0 }.filter(expression),
        None => Ok(Filter::EVERYTHING),
    }
}

fn syntax(position: usize, message: impl Into<String>) -> FilterError {
    FilterError::Syntax { position, message: message.into() }
}

/// The parser's errors in our words.
fn refused(error: aip_160::FilterError) -> FilterError {
    match error {
        aip_160::FilterError::Syntax { offset, message } => syntax(
            offset,
            match &*message {
                "unexpected input" => {
                    "expected AND, OR or the end; text with spaces or punctuation needs quotes".to_owned()
                }
                "unexpected end of filter" | "expected a value" => "expected a field or a value".to_owned(),
                "unterminated string" => "this quote is not closed".to_owned(),
                _ => message,
            },
        ),
        aip_160::FilterError::TooDeep { limit } => {
            FilterError::TooComplex { what: "brackets around one another", most: limit }
        }
        // The others come from its conversions to SQL, which are not used.
        _ => syntax(0, "this is not a filter"),
    }
}

/// A walk through the parser's tree, in the order of the text.
struct Walk<'a> {
    fields: &'static [Field],
    scan: Scan<'a>,
    comparisons: usize,
}

impl Walk<'_> {
    fn filter(&mut self, expression: &Expression) -> Result<Filter, FilterError> {
        match expression {
            Expression::And(parts) | Expression::Sequence(parts) => Ok(Filter::And(self.filters(parts)?)),
            Expression::Or(parts) => Ok(Filter::Or(self.filters(parts)?)),
            Expression::Not(inner) => {
                self.scan.negation();
                Ok(Filter::Not(Box::new(self.filter(inner)?)))
            }
            Expression::Restriction(restriction) => self.comparison(restriction),
            Expression::Global(Comparable::Function(_)) => Err(self.function()),
            Expression::Global(Comparable::Member(_)) => Err(FilterError::UnsupportedOperator {
                position: self.scan.comparable(),
                operator: "a value on its own",
                expected: "a comparison such as field = \"value\", with quotes around text that has spaces, \
                           and AND, OR and NOT in capitals",
            }),
        }
    }

    fn filters(&mut self, parts: &[Expression]) -> Result<Vec<Filter>, FilterError> {
        parts.iter().map(|part| self.filter(part)).collect()
    }

    fn function(&mut self) -> FilterError {
        FilterError::UnsupportedOperator {
            position: self.scan.comparable(),
            operator: "a function",
            expected: "a comparison such as field = \"value\"",
        }
    }

    fn comparison(&mut self, restriction: &Restriction) -> Result<Filter, FilterError> {
        self.comparisons += 1;
        if self.comparisons > MAX_COMPARISONS {
            return Err(FilterError::TooComplex { what: "comparisons", most: MAX_COMPARISONS });
        }
        let field = self.field(&restriction.comparable)?;
        let (operator, argument) = self.scan.operator();
        let order = order(field.values, restriction.comparator, operator)?;
        let literal = self.literal(field, &restriction.arg, argument)?;
        let comparison = match order {
            Some(order) => field.values.ordered(order, literal),
            None => field.values.equal(literal),
        };
        let comparison = comparison.ok_or_else(|| bad_value(field, argument))?;
        Ok(match restriction.comparator {
            Comparator::NotEqual => Filter::Not(Box::new(Filter::Compare(comparison))),
            _ => Filter::Compare(comparison),
        })
    }

    fn field(&mut self, comparable: &Comparable) -> Result<&'static Field, FilterError> {
        let Comparable::Member(member) = comparable else { return Err(self.function()) };
        let position = self.scan.comparable();
        match member.field_path() {
            Some(name) => fields::find(self.fields, &name, position),
            None => Err(syntax(position, "expected the name of a field, without quotes")),
        }
    }

    fn literal<'a>(&mut self, field: &'static Field, arg: &'a Arg, position: usize) -> Result<&'a str, FilterError> {
        match arg {
            Arg::Comparable(Comparable::Function(_)) => Err(self.function()),
            Arg::Composite(_) => Err(FilterError::UnsupportedOperator {
                position,
                operator: "a value in brackets",
                expected: "one comparison for each value, joined by OR",
            }),
            Arg::Comparable(Comparable::Member(_)) => {
                self.scan.comparable();
                let value = arg.as_value().ok_or_else(|| bad_value(field, position))?;
                Ok(value.as_str())
            }
        }
    }
}

fn bad_value(field: &'static Field, position: usize) -> FilterError {
    FilterError::BadValue { position, field: &field.name, expected: field.values.expected() }
}

/// The order that a comparator asks for; `None` for plain (in)equality.
fn order(values: Values, comparator: Comparator, position: usize) -> Result<Option<Order>, FilterError> {
    let (operator, order) = match comparator {
        Comparator::Equal | Comparator::NotEqual => return Ok(None),
        Comparator::LessThan => ("<", Some(Order::Before)),
        Comparator::LessThanOrEqual => ("<=", Some(Order::BeforeOrIn)),
        Comparator::GreaterThanOrEqual => (">=", Some(Order::InOrAfter)),
        Comparator::GreaterThan => (">", Some(Order::After)),
        Comparator::Has => (":", None),
    };
    let expected = match values {
        Values::Date(_) | Values::Number(_) if order.is_some() => return Ok(order),
        Values::Date(_) | Values::Number(_) => "=, !=, <, <=, > or >=",
        _ => "= or !=",
    };
    Err(FilterError::UnsupportedOperator { position, operator, expected })
}
