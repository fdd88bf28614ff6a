//! Who may do what where, asked by the product beside us: many questions at once, about anyone the asker sees.

use std::collections::HashSet;

use uuid::Uuid;

use super::{Access, Caller, Oneself, Permission};
use crate::db::Tx;
use crate::error::{FieldError, Refusal, Result};
use crate::ids::OrganizationId;
use crate::objects::{Kind, Names, Wanted, resolve};

/// How many questions are answered at once.
pub const MAX_CHECKS: usize = 100;

/// May this one do that there?
#[derive(Clone, Debug)]
pub struct Question {
    /// Who: the one who asks, if not given.
    pub user: Option<Uuid>,
    /// What: a code name.
    pub permission: String,
    /// Where: over the root, if not given, which is the most that can be asked.
    pub folder: Option<Uuid>,
}

/// Whether, and why.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Whether he may.
    pub allowed: bool,
    /// Role assignments that give it. None for a superuser, who needs none.
    pub reason: Vec<Uuid>,
}

/// Answers questions in their order, from the state of now, by one query however many they are.
///
/// Errors: 400 for a user or folder that the caller does not see, and for a permission that is not there.
pub async fn check(tx: &mut Tx, by: &Access<Oneself>, questions: &[Question]) -> Result<Vec<Verdict>> {
    let caller = by.caller();
    if questions.len() > MAX_CHECKS {
        let message = format!("At most {MAX_CHECKS} checks at once.");
        return Err(Refusal::invalid_field("checks", "too_many", message).into());
    }
    demand_sense(tx, caller, questions).await?;
    let me = Uuid::from(caller.user_id);
    let users: Vec<Uuid> = questions.iter().map(|question| question.user.unwrap_or(me)).collect();
    let permissions: Vec<String> = questions.iter().map(|question| question.permission.clone()).collect();
    let folders: Vec<Option<Uuid>> = questions.iter().map(|question| question.folder).collect();
    let organization_wide: Vec<bool> =
        permissions.iter().map(|name| Permission::find(name).is_some_and(Permission::is_organization_wide)).collect();
    let rows = sqlx::query!(
        r#"with
           asked as materialized (
               select q.n, q.who, q.permission, f.id as folder_id, f.ancestors
               from unnest($2::uuid[], $3::text[], $4::uuid[], $5::boolean[]) with ordinality
                   q(who, permission, folder_id, is_wide, n)
               join folders f on f.organization_id = $1
                   and f.id = case when q.folder_id is null or q.is_wide then root_folder_id() else q.folder_id end),
           subjects as materialized (
               select u.id, u.is_superuser, u.is_active and coalesce(u.expiry_date >= $6, true) as is_live
               from users u where u.organization_id = $1 and u.id = any($2)),
           held as materialized (
               select s.id as who, g.role_assignment_id, g.permissions, g.folder_id, g.is_recursive
               from subjects s cross join lateral grants_of(s.id) g
               where s.is_live and not s.is_superuser)
           select a.n as "n!", s.is_live and s.is_superuser as "is_superuser!",
               array(select distinct h.role_assignment_id from held h
                   where h.who = a.who and a.permission = any(h.permissions) and h.folder_id = any(a.ancestors)
                     and (h.is_recursive or h.folder_id = a.folder_id)
                   order by 1) as "reason!"
           from asked a join subjects s on s.id = a.who"#,
        tx.organization_id() as OrganizationId,
        &users,
        &permissions,
        &folders as &[Option<Uuid>],
        &organization_wide,
        tx.now().date_naive()
    )
    .fetch_all(tx.connection())
    .await?;
    // Whoever or whatever has gone since it was seen has no row: nobody may do anything there.
    let mut verdicts = vec![Verdict { allowed: false, reason: Vec::new() }; questions.len()];
    for row in rows {
        let at = usize::try_from(row.n - 1).ok();
        if let Some(verdict) = at.and_then(|at| verdicts.get_mut(at)) {
            *verdict = Verdict { allowed: row.is_superuser || !row.reason.is_empty(), reason: row.reason };
        }
    }
    for (question, verdict) in questions.iter().zip(&mut verdicts) {
        let is_self = question.user.is_none_or(|user| user == me);
        let in_scope = Permission::find(&question.permission).is_some_and(|p| caller.holder().has_scope(p.codename()));
        if is_self && !in_scope {
            *verdict = Verdict { allowed: false, reason: Vec::new() };
        }
    }
    mask(tx, caller, questions, &mut verdicts).await?;
    Ok(verdicts)
}

/// Refuses questions about what is not there for the caller.
async fn demand_sense(tx: &mut Tx, caller: &Caller, questions: &[Question]) -> Result<()> {
    let mut wanted = Wanted::default();
    for question in questions {
        wanted.one(Kind::User, question.user.filter(|user| *user != Uuid::from(caller.user_id)));
        wanted.one(Kind::Folder, question.folder);
    }
    let names = resolve(tx, caller, wanted).await?;
    let mut errors = Vec::new();
    for (n, question) in questions.iter().enumerate() {
        let mut note = |ok: bool, field: &str, code: &'static str, message: &'static str| {
            if !ok {
                errors.push(FieldError::new(format!("checks[{n}].{field}"), code, message));
            }
        };
        let sees = |kind: Kind, id: Option<Uuid>| id.is_none_or(|id| names.get(kind, id).is_some());
        let other = question.user.filter(|user| *user != Uuid::from(caller.user_id));
        note(sees(Kind::User, other), "user", "not_found", "There is no such user for you.");
        note(sees(Kind::Folder, question.folder), "folder", "not_found", "There is no such folder for you.");
        let is_known = Permission::find(&question.permission).is_some();
        note(is_known, "permission", "unknown_permission", "There is no such permission.");
    }
    if errors.is_empty() { Ok(()) } else { Err(Refusal::invalid(errors).into()) }
}

/// Leaves out assignments that the caller does not see, but for his own.
async fn mask(tx: &mut Tx, caller: &Caller, questions: &[Question], verdicts: &mut [Verdict]) -> Result<()> {
    let is_other = |question: &Question| question.user.is_some_and(|user| user != Uuid::from(caller.user_id));
    let others = || questions.iter().zip(&*verdicts).filter(|(question, _)| is_other(question));
    let ids: HashSet<Uuid> = others().flat_map(|(_, verdict)| verdict.reason.iter().copied()).collect();
    let mut wanted = Wanted::default();
    wanted.all(Kind::RoleAssignment, &ids.into_iter().collect::<Vec<_>>());
    let names: Names = resolve(tx, caller, wanted).await?;
    for (_, verdict) in questions.iter().zip(verdicts).filter(|(question, _)| is_other(question)) {
        verdict.reason.retain(|id| names.get(Kind::RoleAssignment, *id).is_some());
    }
    Ok(())
}
