//! Lists: one way to filter, order and page through them, with numbers or with a cursor.

use std::fmt::Display;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Encode, Execute, FromRow, Postgres, QueryBuilder, Row, Type};
use uuid::Uuid;

use crate::access::Reach;
use crate::db::Tx;
use crate::error::{Refusal, Result};
use crate::ids::{OrganizationId, UserId};

/// A field a list can be ordered by.
#[derive(Clone, Copy, Debug)]
pub struct Sort {
    name: &'static str,
    /// Never null, or a cursor would lose rows.
    expression: &'static str,
    cast: &'static str,
}

impl Sort {
    /// Ordered as text, byte by byte: the same order on every machine.
    #[must_use]
    pub const fn text(name: &'static str, expression: &'static str) -> Self {
        Self { name, expression, cast: "text collate \"C\"" }
    }

    /// Ordered in time.
    #[must_use]
    pub const fn time(name: &'static str, expression: &'static str) -> Self {
        Self { name, expression, cast: "timestamptz" }
    }

    /// Ordered by number.
    #[must_use]
    pub const fn number(name: &'static str, expression: &'static str) -> Self {
        Self { name, expression, cast: "bigint" }
    }
}

/// What can be listed: how it may be ordered.
pub trait Listed: for<'r> FromRow<'r, PgRow> + Send + Unpin {
    /// What `ordering` may name.
    const SORTS: &'static [Sort];
    /// The order where none is asked for, as `ordering` would say it.
    const DEFAULT_SORT: &'static str;
    /// The column of its id, which breaks ties.
    const ID: &'static str;
}

/// Where in the list.
#[derive(Clone, Debug)]
pub enum Position {
    /// After so many.
    Offset(i64),
    /// From the beginning (`None`) or behind the object a cursor names, at the same cost however far.
    Cursor(Option<String>),
}

/// What a caller asks of a list.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// How many at most.
    pub limit: i64,
    /// From where.
    pub position: Position,
    /// `field` or `-field`.
    pub ordering: Option<String>,
    /// A term to find.
    pub search: Option<String>,
}

/// A part of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// How many there are in all; none where a cursor walks, for counting costs.
    pub count: Option<i64>,
    /// The objects.
    pub results: Vec<T>,
    /// The cursor of what follows, where a cursor walks and something does.
    pub next_cursor: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Cursor {
    /// The order it was made for.
    o: String,
    /// The last value.
    v: String,
    /// The last id.
    i: Uuid,
}

/// A list query under construction. All values are bound; the SQL fragments are literals of ours.
pub struct Query {
    columns: &'static str,
    from: &'static str,
    filter: QueryBuilder<Postgres>,
    /// Whose rows; none for the directory, of which no part is in anyone's reach.
    tenant: Option<OrganizationId>,
    /// Whether its rows are looked for by their ids: then there are few of them.
    is_by_id: bool,
}

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Query {
    /// Begins a list of the organization's rows.
    #[must_use]
    pub fn new(columns: &'static str, from: &'static str, organization_column: &'static str, tx: &Tx) -> Self {
        let (mut filter, tenant) = (QueryBuilder::new(""), tx.organization_id());
        filter.push(format_args!(" where {organization_column} = ")).push_bind(tenant);
        Self { columns, from, filter, tenant: Some(tenant), is_by_id: false }
    }

    /// Begins a list of rows of every organization that row-level security lets us see: the directory.
    #[must_use]
    pub(crate) fn everywhere(columns: &'static str, from: &'static str) -> Self {
        Self { columns, from, filter: QueryBuilder::new(" where true"), tenant: None, is_by_id: false }
    }

    /// Keeps rows whose `column` is `value`, if one is given.
    pub fn equals<'v, T>(&mut self, column: &'static str, value: Option<T>)
    where
        T: Encode<'v, Postgres> + Type<Postgres> + 'v,
    {
        if let Some(value) = value {
            self.filter.push(format_args!(" and {column} = ")).push_bind(value);
        }
    }

    /// Keeps rows for which `condition` followed by the value holds, if one is given.
    pub fn compare<'v, T>(&mut self, condition: &'static str, value: Option<T>)
    where
        T: Encode<'v, Postgres> + Type<Postgres> + 'v,
    {
        if let Some(value) = value {
            self.filter.push(format_args!(" and {condition}")).push_bind(value);
        }
    }

    /// Keeps rows whose `column` is one of `values`, if any are given.
    pub fn any<'v, T>(&mut self, column: &'static str, values: Option<Vec<T>>)
    where
        Vec<T>: Encode<'v, Postgres> + Type<Postgres> + 'v,
    {
        if let Some(values) = values {
            self.filter.push(format_args!(" and {column} = any(")).push_bind(values).push(")");
        }
    }

    /// Keeps rows `o` with one of these ids, if any are given. To be said before what is seen of them.
    pub fn ids(&mut self, ids: Option<Vec<Uuid>>) {
        self.is_by_id |= ids.is_some();
        self.any("o.id", ids);
    }

    /// Keeps the row with this id. To be said before what is seen of it.
    pub(crate) fn id(&mut self, column: &'static str, id: Uuid) {
        self.is_by_id = true;
        self.equals(column, Some(id));
    }

    /// Keeps rows for which `before`, the value and `after` hold together, if a value is given.
    pub fn enclosed<'v, T>(&mut self, before: &'static str, value: Option<T>, after: &'static str)
    where
        T: Encode<'v, Postgres> + Type<Postgres> + 'v,
    {
        if let Some(value) = value {
            self.filter.push(format_args!(" and {before}")).push_bind(value).push(after);
        }
    }

    /// Adds a condition without a value.
    pub fn condition(&mut self, condition: impl Display) {
        self.filter.push(format_args!(" and {condition}"));
    }

    /// Keeps rows in which one of the columns contains the term, whatever its case. `%` and `_` are letters like others.
    pub fn search(&mut self, columns: &[&'static str], term: Option<&str>) {
        let Some(term) = term.filter(|term| !term.is_empty()) else { return };
        let pattern = format!("%{}%", term.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
        self.filter.push(" and (");
        for (n, column) in columns.iter().enumerate() {
            self.filter
                .push(format_args!("{}{column} ilike ", if n == 0 { "" } else { " or " }))
                .push_bind(pattern.clone());
        }
        self.filter.push(")");
    }

    /// Keeps rows whose folder, in `column`, is in a reach; and, where the kind of object can be published (`published` names
    /// that column), published ones above it.
    pub(crate) fn within(&mut self, reach: &Reach, column: &'static str, published: Option<&'static str>) {
        if reach.everything {
            return;
        }
        self.filter.push(" and (");
        self.push_within(reach, column);
        if let Some(published) = published {
            self.filter.push(format_args!(" or {published} and {column} = any("));
            self.filter.push_bind(reach.above.clone()).push(")");
        }
        self.filter.push(")");
    }

    /// Keeps rows that pass one of several branches, each with the conditions that `narrow` adds to it.
    pub(crate) fn either<B>(&mut self, branches: &[B], mut narrow: impl FnMut(&mut Self, &B)) {
        self.filter.push(" and (false");
        for branch in branches {
            self.filter.push(" or true");
            narrow(self, branch);
        }
        self.filter.push(")");
    }

    /// Keeps folders `o` that are in a reach, or lie in a folder that is.
    pub(crate) fn folders_within(&mut self, reach: &Reach) {
        if reach.everything {
            return;
        }
        self.filter.push(" and (");
        self.push_within(reach, "o.id");
        self.filter.push(" or o.parent_folder_id = any(").push_bind(reach.here.clone()).push("))");
    }

    /// Keeps rows whose user, in `column`, is among the people of a reach, or is the one who asks.
    pub(crate) fn people_within(&mut self, reach: &Reach, column: &'static str, me: Option<UserId>) {
        if reach.everything {
            return;
        }
        match &reach.few {
            // One `in`, not an `or`: so Postgres may begin with the people.
            Some(few) if !self.is_by_id => {
                self.filter.push(format_args!(" and {column} in (select * from people_within('{{}}', "));
                self.filter.push_bind(few.clone()).push(")");
                if let Some(me) = me {
                    self.filter.push(" union all select ").push_bind(me);
                }
                self.filter.push(")");
            }
            // Asked of one after the other.
            _ => {
                self.filter.push(format_args!(
                    " and (exists (select from ties_of({column}) p join folder_descendants d \
                     on d.organization_id = current_organization_id() and d.folder_id = p where d.ancestor_id = any("
                ));
                self.filter.push_bind(reach.deep.clone()).push(") or d.folder_id = any(");
                self.filter.push_bind(reach.here.clone()).push("))");
                if let Some(me) = me {
                    self.filter.push(format_args!(" or {column} = ")).push_bind(me);
                }
                self.filter.push(")");
            }
        }
    }

    /// The condition that a folder, in `column`, is in a reach: where it is large, asked of one after the other. Not by `exists`,
    /// for that Postgres may turn into a table of all folders of the reach.
    fn push_within(&mut self, reach: &Reach, column: &'static str) {
        if let Some(few) = &reach.few {
            self.filter.push(format_args!("{column} = any(")).push_bind(few.clone()).push(")");
            return;
        }
        self.filter.push("(select f.ancestors from folders f where f.organization_id = ").push_bind(self.tenant);
        self.filter.push(format_args!(" and f.id = {column}) && ")).push_bind(reach.deep.clone());
        self.filter.push(format_args!(" or {column} = any("));
        self.filter.push_bind(reach.here.clone()).push(")");
    }

    /// Keeps users `o` all of whose ties are in a reach; and of those who have but one in it, the one who asks.
    pub(crate) fn people_wholly_within(&mut self, reach: &Reach, me: UserId) {
        if reach.everything {
            return;
        }
        self.filter.push(" and (are_ties_within(o.id, ");
        self.push_reach(reach);
        self.filter.push(") and not o.is_superuser or o.id = ").push_bind(me);
        self.filter.push(" and is_tied_within(o.id, ");
        self.push_reach(reach);
        self.filter.push("))");
    }

    fn push_reach(&mut self, reach: &Reach) {
        self.filter.push_bind(reach.deep.clone()).push(", ").push_bind(reach.here.clone());
    }

    /// The one row that is left, if any is.
    pub async fn find<T: Listed>(self, tx: &mut Tx) -> Result<Option<T>> {
        let row = self.select()?.build().fetch_optional(tx.connection()).await?;
        Ok(row.as_ref().map(T::from_row).transpose()?)
    }

    /// All rows that are left: those of given ids.
    pub(crate) async fn all<T: for<'r> FromRow<'r, PgRow>>(self, tx: &mut Tx) -> Result<Vec<T>> {
        let rows = self.select()?.build().fetch_all(tx.connection()).await?;
        Ok(rows.iter().map(T::from_row).collect::<Result<_, _>>()?)
    }

    /// Prepared once in a connection, whatever its values: to plan it takes longer than to do it.
    fn select(self) -> Result<QueryBuilder<Postgres>> {
        let (columns, from) = (self.columns, self.from);
        let (filter, arguments) = self.parts()?;
        Ok(QueryBuilder::with_arguments(format!("select {columns} from {from}{filter}"), arguments))
    }

    /// Runs it for one page.
    pub async fn fetch<T: Listed>(self, tx: &mut Tx, page: &PageRequest) -> Result<Page<T>> {
        let (ordering, sort, descending) = order::<T>(page.ordering.as_deref())?;
        tx.plan_for_values().await?;
        let fetched = match &page.position {
            Position::Offset(offset) => self.fetch_offset(tx, page.limit, *offset, sort, descending).await?,
            Position::Cursor(at) => {
                let at = at.as_deref().map(|text| read_cursor(text, &ordering)).transpose()?;
                self.fetch_cursor(tx, page.limit, at, sort, descending, &ordering).await?
            }
        };
        // What is asked about its rows, such as the names of their folders, is found by ids.
        tx.plan_once().await?;
        Ok(fetched)
    }

    async fn fetch_offset<T: Listed>(
        self,
        tx: &mut Tx,
        limit: i64,
        offset: i64,
        sort: Sort,
        descending: bool,
    ) -> Result<Page<T>> {
        let direction = if descending { "desc" } else { "asc" };
        let (columns, from, Sort { expression, cast, .. }) = (self.columns, self.from, sort);
        let (filter, arguments) = self.parts()?;
        let id = T::ID;
        // The count is there even for a page past the end; the filter's numbered values serve both selects.
        let mut query = QueryBuilder::with_arguments(
            format!(
                "select * from (select count(*) as total_count from {from}{filter}) c left join lateral (\
                 select {columns}, {id} as row_id from {from}{filter} \
                 order by {expression}::{cast} {direction}, {id} {direction} limit "
            ),
            arguments,
        );
        query.push_bind(limit).push(" offset ").push_bind(offset).push(") r on true");
        let rows = query.build().persistent(false).fetch_all(tx.connection()).await?;
        let count = rows.first().map(|row| row.try_get("total_count")).transpose()?;
        let mut results = Vec::with_capacity(rows.len());
        for row in &rows {
            if row.try_get::<Option<Uuid>, _>("row_id")?.is_some() {
                results.push(T::from_row(row)?);
            }
        }
        Ok(Page { count, results, next_cursor: None })
    }

    async fn fetch_cursor<T: Listed>(
        mut self,
        tx: &mut Tx,
        limit: i64,
        at: Option<Cursor>,
        sort: Sort,
        descending: bool,
        ordering: &str,
    ) -> Result<Page<T>> {
        let (direction, operator) = if descending { ("desc", "<") } else { ("asc", ">") };
        let (columns, from, id, Sort { expression, cast, .. }) = (self.columns, self.from, T::ID, sort);
        if let Some(at) = at {
            self.filter.push(format_args!(" and ({expression}::{cast}, {id}) {operator} ("));
            self.filter.push_bind(at.v).push(format_args!("::{cast}, ")).push_bind(at.i).push(")");
        }
        let (filter, arguments) = self.parts()?;
        let mut query = QueryBuilder::with_arguments(
            format!(
                "select {columns}, ({expression})::text as cursor_value, {id} as cursor_id from {from}{filter} \
                 order by {expression}::{cast} {direction}, {id} {direction} limit "
            ),
            arguments,
        );
        let mut rows = query.push_bind(limit + 1).build().persistent(false).fetch_all(tx.connection()).await?;
        let limit = usize::try_from(limit).unwrap_or(0);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = match rows.last() {
            Some(row) if more => {
                let cursor =
                    Cursor { o: ordering.to_owned(), v: row.try_get("cursor_value")?, i: row.try_get("cursor_id")? };
                Some(URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).unwrap_or_default()))
            }
            _ => None,
        };
        let results = rows.iter().map(T::from_row).collect::<Result<_, _>>()?;
        Ok(Page { count: None, results, next_cursor })
    }

    /// The filter's text and its values.
    fn parts(mut self) -> Result<(String, PgArguments)> {
        let arguments = self.filter.build().take_arguments().map_err(sqlx::Error::Encode)?.unwrap_or_default();
        Ok((self.filter.into_string(), arguments))
    }
}

fn order<T: Listed>(asked: Option<&str>) -> Result<(String, Sort, bool), Refusal> {
    let ordering = asked.filter(|o| !o.is_empty()).unwrap_or(T::DEFAULT_SORT);
    let (name, descending) = ordering.strip_prefix('-').map_or((ordering, false), |name| (name, true));
    T::SORTS.iter().find(|sort| sort.name == name).map(|sort| (ordering.to_owned(), *sort, descending)).ok_or_else(
        || {
            let known: Vec<_> = T::SORTS.iter().map(|sort| sort.name).collect();
            Refusal::invalid_field(
                "ordering",
                "unknown_ordering",
                format!("This list can be ordered by {}, with a leading - for the reverse.", known.join(", ")),
            )
        },
    )
}

fn read_cursor(text: &str, ordering: &str) -> Result<Cursor, Refusal> {
    URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Cursor>(&bytes).ok())
        .filter(|cursor| cursor.o == ordering && !cursor.v.contains('\0'))
        .ok_or_else(|| Refusal::invalid_field("cursor", "bad_cursor", "This cursor is not of this list in this order."))
}
