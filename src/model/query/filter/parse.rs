//! Parses the text of a filter into its tree. Only this module depends on the crate `aip-160`, which has the grammar.

use std::{borrow::Cow, iter};

use aip_160::{Arg, Comparable, Comparator, Expression, Member, Restriction, Value};

use super::{
    CHANGES, Comparison, ComparisonOp, Field, Filter, FilterError, FilterSchema, Function, FunctionCall,
    PARTICIPATIONS,
    fields::IN_LISTS_ONLY,
    positions::{self, PositionTracker},
    schema::NamedField,
};
use crate::model::{
    rules::codes::{is_region, nearest_region},
    text::{quoted::quoted, suggestion::did_you_mean},
};

/// Maximum number of bytes in one filter. The contract states it too.
pub const MAX_BYTES: usize = 8192;
/// Maximum number of comparisons and function calls in one filter. The contract states it too.
pub const MAX_COMPARISONS: usize = 200;
/// Maximum number of levels of nested brackets. The contract states it too.
pub const MAX_DEPTH: usize = 32;

/// Parses a filter over the fields and functions of a collection. An empty text is [`Filter::EVERYTHING`].
///
/// # Errors
/// If the text does not follow the grammar, exceeds a limit, or has an unknown name or a value of the wrong type.
pub fn parse(schema: &'static FilterSchema, text: &str) -> Result<Filter, FilterError> {
    read(schema, text).map_err(|error| match error {
        FilterError::Syntax { position, message } if message.starts_with("expected") => {
            let message = format!("{message}; found {}", found(text, position));
            FilterError::Syntax { position, message }
        }
        error => error,
    })
}

/// The first 20 characters at a position, quoted, for an error message.
fn found(text: &str, position: usize) -> String {
    let rest = text.get(position..).unwrap_or_default().trim();
    if rest.is_empty() { "the end".to_owned() } else { quoted(&rest.chars().take(20).collect::<String>()) }
}

fn read(schema: &'static FilterSchema, text: &str) -> Result<Filter, FilterError> {
    if text.len() > MAX_BYTES {
        return Err(FilterError::TooComplex { what: "bytes", most: MAX_BYTES });
    }
    if let Some(position) = text.find('\0') {
        return Err(syntax(position, "U+0000 is not allowed"));
    }
    if let Some(position) = positions::keyword_at_bracket(text) {
        return Err(syntax(position, "expected a space between AND, OR or NOT and the bracket"));
    }
    let tree = aip_160::parse_filter_with_max_depth(text, MAX_DEPTH).map_err(|error| syntax_error(error, text))?;
    match &tree.expression {
        Some(expression) => {
            let is_of_changes = std::ptr::eq(schema, &*CHANGES);
            let positions = PositionTracker::new(text);
            TreeConverter { schema, is_of_changes, positions, comparisons: 0 }.filter(expression)
        }
        None => Ok(Filter::EVERYTHING),
    }
}

fn syntax(position: usize, message: impl Into<String>) -> FilterError {
    FilterError::Syntax { position, message: message.into() }
}

/// Converts an error of the parser.
fn syntax_error(error: aip_160::FilterError, text: &str) -> FilterError {
    match error {
        aip_160::FilterError::Syntax { offset, message } => syntax(
            offset,
            match &*message {
                "unexpected input" => {
                    "expected AND, OR or the end; text with spaces or punctuation needs quotes".to_owned()
                }
                "unexpected end of filter" | "expected a value" => "expected a field or a value".to_owned(),
                "expected ')'" if is_condition(text, offset) => {
                    "expected ')'; text with punctuation needs quotes, and conditions in a function need brackets of \
                     their own: participant((...))"
                        .to_owned()
                }
                "unterminated string" => "this quote is not closed".to_owned(),
                _ => message,
            },
        ),
        aip_160::FilterError::TooDeep { limit } => {
            FilterError::TooComplex { what: "levels of nested brackets", most: limit }
        }
        // The other errors come from the crate's conversions to SQL, which are not used.
        _ => syntax(0, "this is not a filter"),
    }
}

/// True if an operator follows where a closing bracket is expected.
fn is_condition(text: &str, position: usize) -> bool {
    text[position..].starts_with(['=', '<', '>', '!', ':'])
}

/// A walk through the parser's tree, in the order of the text.
struct TreeConverter<'a> {
    schema: &'static FilterSchema,
    is_of_changes: bool,
    positions: PositionTracker<'a>,
    comparisons: usize,
}

impl TreeConverter<'_> {
    fn filter(&mut self, expression: &Expression) -> Result<Filter, FilterError> {
        match expression {
            Expression::And(parts) | Expression::Sequence(parts) => Ok(Filter::And(self.filters(parts)?)),
            Expression::Or(parts) => Ok(Filter::Or(self.filters(parts)?)),
            Expression::Not(inner) => {
                self.positions.negation();
                Ok(Filter::Not(Box::new(self.filter(inner)?)))
            }
            Expression::Restriction(restriction) => self.comparison(restriction),
            Expression::Global(Comparable::Function(function)) => self.call(function),
            Expression::Global(Comparable::Member(member)) => Err(self.missing_operator(member)),
        }
    }

    fn filters(&mut self, parts: &[Expression]) -> Result<Vec<Filter>, FilterError> {
        parts.iter().map(|part| self.filter(part)).collect()
    }

    /// The error for a field or value without an operator.
    fn missing_operator(&mut self, member: &Member) -> FilterError {
        let position = self.positions.comparable();
        if let Some(function) = member.field_path().and_then(|name| self.schema.find_function(&name)) {
            return bad_call(position, function, String::new());
        }
        FilterError::UnsupportedOperator {
            position,
            operator: "a value on its own",
            expected: "a comparison such as field = \"value\", with quotes around text that has spaces, \
                       and AND, OR and NOT in capitals",
        }
    }

    fn count(&mut self) -> Result<(), FilterError> {
        self.comparisons += 1;
        if self.comparisons > MAX_COMPARISONS {
            return Err(FilterError::TooComplex { what: "comparisons", most: MAX_COMPARISONS });
        }
        Ok(())
    }

    fn call(&mut self, call: &aip_160::Function) -> Result<Filter, FilterError> {
        self.count()?;
        let position = self.positions.comparable();
        let function = self.schema.function(&call.name.join("."), position)?;
        match (function.call, call.args.as_slice()) {
            (FunctionCall::OneParticipation, [Arg::Composite(conditions)]) => {
                let conditions = self.within(PARTICIPATIONS, conditions)?;
                Ok(Filter::Compare(Comparison::OneParticipation(Box::new(conditions))))
            }
            (FunctionCall::Between, [first, second]) => {
                let first = self.region(function, first)?;
                let position = self.positions.peek();
                let second = self.region(function, second)?;
                if first == second {
                    return Err(FilterError::BadCall {
                        position,
                        function: function.name,
                        expected: "two different region codes",
                        sent: format!(", not {} twice", quoted(&first)),
                    });
                }
                let takes_part = |code| Filter::Compare(Comparison::MeetingRegion(code));
                Ok(Filter::And(vec![takes_part(first), takes_part(second)]))
            }
            (FunctionCall::OneParticipation | FunctionCall::Between, _) => {
                Err(bad_call(position, function, String::new()))
            }
        }
    }

    /// A nested filter with another schema.
    fn within(&mut self, schema: &'static FilterSchema, expression: &Expression) -> Result<Filter, FilterError> {
        let outer = std::mem::replace(&mut self.schema, schema);
        let filter = self.filter(expression);
        self.schema = outer;
        filter
    }

    /// A region as an argument of a function.
    fn region(&mut self, function: &'static Function, arg: &Arg) -> Result<String, FilterError> {
        let position = self.positions.peek();
        let code = arg.as_value().map(Value::as_str);
        self.positions.comparable();
        code.filter(|code| is_region(code)).map(str::to_owned).ok_or_else(|| {
            let sent = code.map(|code| format!(", not {}{}", quoted(code), did_you_mean(nearest_region(code))));
            bad_call(position, function, sent.unwrap_or_default())
        })
    }

    /// The error for a function in the place of a field or a value.
    fn misplaced(&mut self, function: &aip_160::Function) -> FilterError {
        let position = self.positions.comparable();
        match self.schema.function(&function.name.join("."), position) {
            Ok(_) => FilterError::UnsupportedOperator {
                position,
                operator: "a function",
                expected: "it on its own; only a field can be compared, and only with a value",
            },
            Err(unknown) => unknown,
        }
    }

    fn comparison(&mut self, restriction: &Restriction) -> Result<Filter, FilterError> {
        let field = self.field(&restriction.comparable)?;
        let (operator, argument) = self.positions.operator();
        if restriction.comparator == Comparator::Has && is_star(&restriction.arg) {
            self.count()?;
            self.positions.comparable();
            let comparison = field.field.values.any(&field.key).ok_or_else(|| bad_value(field.field, argument, "*"))?;
            return Ok(Filter::Compare(Comparison::IsSet(Box::new(comparison))));
        }
        let order = order(field.field, restriction.comparator, operator)?;
        let filter = match (&restriction.arg, restriction.comparator) {
            (Arg::Composite(values), Comparator::Equal | Comparator::NotEqual | Comparator::Has) => {
                self.values(&field, values)?
            }
            (arg, _) => self.value(&field, order, arg, argument)?,
        };
        Ok(match restriction.comparator {
            Comparator::NotEqual => Filter::Not(Box::new(filter)),
            _ => filter,
        })
    }

    /// The comparison with one value.
    fn value(
        &mut self,
        NamedField { field, key }: &NamedField,
        order: Option<ComparisonOp>,
        arg: &Arg,
        argument: usize,
    ) -> Result<Filter, FilterError> {
        self.count()?;
        let literal = self.literal(field, arg, argument)?;
        let comparison = match order {
            Some(order) => field.values.ordered(order, &literal),
            None => field.values.equal(key, &literal),
        };
        comparison.map(Filter::Compare).ok_or_else(|| bad_value(field, argument, &literal))
    }

    /// The comparisons with a list of values, joined as the values are.
    fn values(&mut self, field: &NamedField, values: &Expression) -> Result<Filter, FilterError> {
        let mut all = |parts: &[Expression]| -> Result<Vec<Filter>, FilterError> {
            parts.iter().map(|part| self.values(field, part)).collect()
        };
        match values {
            Expression::And(parts) => Ok(Filter::And(all(parts)?)),
            Expression::Or(parts) => Ok(Filter::Or(all(parts)?)),
            Expression::Global(comparable) => {
                let position = self.positions.peek();
                self.value(field, None, &Arg::Comparable(comparable.clone()), position)
            }
            Expression::Not(_) | Expression::Sequence(_) | Expression::Restriction(_) => {
                Err(FilterError::UnsupportedOperator {
                    position: self.positions.peek(),
                    operator: "this list",
                    expected: "values joined by OR or AND, such as (\"AZ\" OR \"RU\")",
                })
            }
        }
    }

    fn field(&mut self, comparable: &Comparable) -> Result<NamedField, FilterError> {
        let member = match comparable {
            Comparable::Member(member) => member,
            Comparable::Function(function) => return Err(self.misplaced(function)),
        };
        let position = self.positions.comparable();
        let segments: Vec<&str> = iter::once(&member.value).chain(&member.fields).map(Value::as_str).collect();
        let field = self.schema.field(&segments, member.field_path().is_some(), position)?;
        if self.is_of_changes && std::ptr::eq(self.schema, PARTICIPATIONS) && field.field.name == IN_LISTS_ONLY {
            return Err(FilterError::UnsupportedOperator {
                position,
                operator: "the kind of a participation",
                expected: "another field: a change of a meeting does not tell the kinds of its participants",
            });
        }
        Ok(field)
    }

    fn literal<'a>(
        &mut self,
        field: &'static Field,
        arg: &'a Arg,
        position: usize,
    ) -> Result<Cow<'a, str>, FilterError> {
        match arg {
            Arg::Comparable(Comparable::Function(function)) => Err(self.misplaced(function)),
            Arg::Composite(_) => Err(FilterError::UnsupportedOperator {
                position,
                operator: "a list of values",
                expected: "= or != before it",
            }),
            Arg::Comparable(Comparable::Member(member)) => {
                self.positions.comparable();
                if let Some(value) = arg.as_value() {
                    return Ok(Cow::Borrowed(value.as_str()));
                }
                // The only values with a dot that need no quotes are names of enumerated types.
                let path = member.field_path().unwrap_or_default();
                match field.values.names().contains(&path.as_str()) {
                    true => Ok(Cow::Owned(path)),
                    false => Err(bad_value(field, position, &path)),
                }
            }
        }
    }
}

/// True for the `*` of `field:*`, without quotes.
fn is_star(arg: &Arg) -> bool {
    matches!(arg.as_value(), Some(Value::Text(text)) if text == "*")
}

fn bad_value(field: &'static Field, position: usize, literal: &str) -> FilterError {
    let sent = format!(", not {}{}", quoted(literal), did_you_mean(field.values.nearest(literal)));
    FilterError::BadValue { position, field: field.name, expected: field.values.expected(), sent }
}

fn bad_call(position: usize, function: &'static Function, sent: String) -> FilterError {
    FilterError::BadCall { position, function: function.name, expected: function.call.expected(), sent }
}

/// The order of a comparator; `None` for `=` and `!=`, and for `:` on a repeated field, where it equals `=`.
fn order(field: &Field, comparator: Comparator, position: usize) -> Result<Option<ComparisonOp>, FilterError> {
    let (operator, order) = match comparator {
        Comparator::Equal | Comparator::NotEqual => return Ok(None),
        Comparator::LessThan => ("<", Some(ComparisonOp::Before)),
        Comparator::LessThanOrEqual => ("<=", Some(ComparisonOp::BeforeOrIn)),
        Comparator::GreaterThanOrEqual => (">=", Some(ComparisonOp::InOrAfter)),
        Comparator::GreaterThan => (">", Some(ComparisonOp::After)),
        Comparator::Has => (":", None),
    };
    let expected = match (field.values.have_order(), field.is_repeated, order) {
        (true, _, Some(_)) | (_, true, None) => return Ok(order),
        (true, ..) => "=, !=, <, <=, >, >= or :*",
        (false, true, _) => "=, != or :",
        (false, false, _) => "=, != or :*",
    };
    Err(FilterError::UnsupportedOperator { position, operator, expected })
}
