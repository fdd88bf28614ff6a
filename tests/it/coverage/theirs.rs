//! The operations of the three descriptions, in their order, and the fields that they name. What stands in a path is left out.

/// An operation of another API.
pub(super) struct Theirs {
    /// As the description names it; or method and path, where it has no names.
    pub(super) name: &'static str,
    /// Parameters in the query and in headers.
    parameters: &'static [&'static str],
    body: &'static [&'static str],
    answer: &'static [&'static str],
}

impl Theirs {
    /// Parameters, fields of the body, fields of the answer.
    pub(super) fn fields(&self) -> [Vec<&'static str>; 3] {
        [self.parameters, self.body, self.answer].map(|lists| lists.iter().flat_map(|list| list.split(' ')).collect())
    }
}

const fn op(
    name: &'static str,
    parameters: &'static [&'static str],
    body: &'static [&'static str],
    answer: &'static [&'static str],
) -> Theirs {
    Theirs { name, parameters, body, answer }
}

const LISTED: &str = "limit offset ordering search";
const STAMPS: &str = "id created_at updated_at";
const ASSIGNMENT: &str =
    "is_published name description is_recursive builtin folder user user_group role perimeter_folders";
const TEAM: &str = "name description folder team_email leader deputies members";
const GROUP: &str = "is_published name description builtin folder";
const USER: &str = "email first_name last_name is_active date_joined user_groups keep_local_login is_third_party observation \
                    expiry_date is_superuser";

/// Of the API of users and of what they may do.
pub(super) const OF_IAM: [Theirs; 57] = [
    op("accounts_saml_download_cert_retrieve", &[], &[], &[]),
    op("accounts_saml_generate_keys_create", &[], &[], &[]),
    op("actors_list", &[LISTED], &[], &[]),
    op("actors_retrieve", &[], &[], &["id str type specific"]),
    op("actors_cascade_info_retrieve", &[], &[], &["deleted affected"]),
    op("actors_object_retrieve", &[], &[], &[]),
    op("iam_auth_tokens_retrieve", &[], &[], &[]),
    op("iam_auth_tokens_create", &[], &[], &[]),
    op("iam_auth_tokens_destroy", &[], &[], &[]),
    op("iam_change_password_create", &[], &["old_password new_password confirm_new_password"], &[]),
    op("iam_current_user_retrieve", &[], &[], &[]),
    op("iam_login_create", &[], &["username password"], &[]),
    op("iam_logout_create", &[], &[], &[]),
    op("iam_logoutall_create", &[], &[], &[]),
    op("iam_password_reset_create", &[], &[], &[]),
    op("iam_password_reset_confirm_create", &[], &[], &[]),
    op("iam_revoke_sessions_create", &[], &[], &[]),
    op("iam_session_token_create", &[], &[], &[]),
    op("iam_set_password_create", &[], &["user new_password confirm_new_password"], &["user"]),
    op("role_assignments_list", &["folder id", LISTED], &[], &["count results"]),
    op("role_assignments_create", &[], &[ASSIGNMENT], &[STAMPS, ASSIGNMENT]),
    op("role_assignments_retrieve", &[], &[], &[STAMPS, ASSIGNMENT]),
    op("role_assignments_update", &[], &[ASSIGNMENT], &[STAMPS, ASSIGNMENT]),
    op("role_assignments_partial_update", &[], &[ASSIGNMENT], &[STAMPS, ASSIGNMENT]),
    op("role_assignments_destroy", &[], &[], &[]),
    op("role_assignments_cascade_info_retrieve", &[], &[], &["deleted affected"]),
    op("role_assignments_object_retrieve", &[], &[], &[]),
    op("role_assignments_batch_action_create", &[], &["action ids field value"], &[]),
    op("teams_list", &[LISTED], &[], &[]),
    op("teams_create", &[], &[TEAM], &["id", TEAM]),
    op("teams_retrieve", &[], &[], &["id", TEAM]),
    op("teams_update", &[], &[TEAM], &["id", TEAM]),
    op("teams_partial_update", &[], &[TEAM], &["id", TEAM]),
    op("teams_destroy", &[], &[], &[]),
    op("teams_cascade_info_retrieve", &[], &[], &["deleted affected"]),
    op("teams_object_retrieve", &[], &[], &[]),
    op("teams_batch_action_create", &[], &["action ids field value"], &[]),
    op("user_groups_list", &["folder id", LISTED], &[], &[]),
    op("user_groups_create", &[], &[GROUP], &[STAMPS, GROUP]),
    op("user_groups_retrieve", &[], &[], &[STAMPS, GROUP, "path localization_dict"]),
    op("user_groups_update", &[], &[GROUP], &[STAMPS, GROUP]),
    op("user_groups_partial_update", &[], &[GROUP], &[STAMPS, GROUP]),
    op("user_groups_destroy", &[], &[], &[]),
    op("user_groups_cascade_info_retrieve", &[], &[], &["deleted affected"]),
    op("user_groups_object_retrieve", &[], &[], &[]),
    op("user_groups_batch_action_create", &[], &["action ids field value"], &[]),
    op("user_preferences_retrieve", &[], &[], &[]),
    op("user_preferences_partial_update", &[], &[], &[]),
    op(
        "users_list",
        &[
            "email exclude_current expiry_date first_name id is_active is_applied_control_owner is_approver is_third_party",
            "keep_local_login last_name representative__entity user_groups",
            LISTED,
        ],
        &[],
        &[],
    ),
    op("users_create", &[], &[USER, "is_local"], &["id", USER, "is_local"]),
    op("users_retrieve", &[], &[], &["id has_mfa_enabled", USER]),
    op("users_update", &[], &[USER, "is_local"], &["id", USER, "is_local"]),
    op("users_partial_update", &[], &[USER, "is_local"], &["id", USER, "is_local"]),
    op("users_destroy", &[], &[], &[]),
    op("users_cascade_info_retrieve", &[], &[], &["deleted affected"]),
    op("users_object_retrieve", &[], &[], &[]),
    op("users_batch_action_create", &[], &["action ids field value"], &[]),
];

const ENVELOPE: &str = "count next previous results";
const NEW_MEMBER: &str = "username password first_name last_name is_active email profile";
const MEMBER: &str = "id username email first_name last_name full_name is_staff is_superuser is_active profile emm last_login \
                      token has_emm is_email_verified";

/// Of the API of the users of an enterprise.
pub(super) const OF_ENTERPRISE: [Theirs; 7] = [
    op("GET /user_info/", &["X-Client-Id X-Tenant"], &[], &[MEMBER]),
    op("GET /user/", &[], &[], &[ENVELOPE]),
    op("POST /user/", &[], &[NEW_MEMBER], &[MEMBER]),
    op("GET /user/{user_id}/", &[], &[], &[MEMBER]),
    op("PUT /user/{user_id}/", &[], &[NEW_MEMBER], &[MEMBER]),
    op("PATCH /user/{user_id}/", &[], &[NEW_MEMBER], &[MEMBER]),
    op("DELETE /user/{user_id}/", &[], &[], &[]),
];

const PAGED: &str = "page page_size";
const CONSENT: &str = "consent_given user_uuid";
const INVITATION: &str = "uuid invitee_identifier role invited_by sent_at valid_until";
const ORGANIZATION: &str = "uuid name slug account_portal_url";
const PERSON: &str = "id uuid email first_name last_name groups is_active";

/// Of the API of organizations and their accounts.
pub(super) const OF_ACCOUNTS: [Theirs; 24] = [
    op("GET /accounts/analysts/", &["search", PAGED], &[], &[ENVELOPE]),
    op("GET /accounts/analysts/current/", &[], &[], &[CONSENT]),
    op("PATCH /accounts/analysts/current/", &[], &[CONSENT], &[CONSENT]),
    op("GET /accounts/groups/", &["page"], &[], &[ENVELOPE]),
    op("GET /accounts/invite/", &[PAGED], &[], &[ENVELOPE]),
    op("POST /accounts/invite/", &[], &[INVITATION], &[INVITATION]),
    op("GET /accounts/invite/{uuid}/", &[], &[], &[INVITATION]),
    op("POST /accounts/invite/{uuid}/", &[], &[INVITATION], &[INVITATION]),
    op("DELETE /accounts/invite/{uuid}/", &[], &[], &[]),
    op("POST /accounts/login_url/", &[], &["email"], &["params"]),
    op("GET /accounts/organizations/", &["id uuid name slug search", PAGED], &[], &[ENVELOPE]),
    op("POST /accounts/organizations/", &[], &[ORGANIZATION], &[ORGANIZATION]),
    op("GET /accounts/organizations/{uuid}/", &[], &[], &[ORGANIZATION]),
    op("PUT /accounts/organizations/{uuid}/", &[], &[ORGANIZATION], &[ORGANIZATION]),
    op("DELETE /accounts/organizations/{uuid}/", &[], &[], &[]),
    op("PATCH /accounts/organizations/{uuid}/", &[], &[ORGANIZATION], &[ORGANIZATION]),
    op("POST /accounts/organizations/{uuid}/increment/", &[], &["usage"], &["limit usage remaining overriden"]),
    op("GET /accounts/portal/", &[], &[], &[]),
    op("GET /accounts/users/", &["search", PAGED], &[], &[ENVELOPE]),
    op("POST /accounts/users/", &[], &[PERSON], &[PERSON]),
    op("GET /accounts/users/{uuid}/", &[], &[], &[PERSON]),
    op("PUT /accounts/users/{uuid}/", &[], &[PERSON], &[PERSON]),
    op("DELETE /accounts/users/{uuid}/", &[], &[], &[]),
    op("PATCH /accounts/users/{uuid}/", &[], &[PERSON], &[PERSON]),
];
