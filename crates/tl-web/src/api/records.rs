//! `/v1/records/{type}/{id}`: the built-in system of record. Every write names the version it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tl_kernel::coerce::coerce;
use tl_kernel::digest::{Digest, keyed};
use tl_kernel::id::EventId;
use tl_kernel::limits::DEDUPE_KEEP;
use tl_kernel::payload::parse_json;
use tl_kernel::program::{ActionKind, Program};
use tl_kernel::time::rfc3339;
use tl_kernel::value::{Type, Value};
use tl_store::{Guard, RecordWrite, Refused, Row, Unit};

use super::versions::{expected, moved, tag};
use crate::answer;
use crate::bearer::{self, Bearer};
use crate::guard::RequestId;
use crate::headers;
use crate::ingest;
use crate::intake::TenantView;
use crate::json::object_to_json;
use crate::limits::{MAX_HISTORY, MAX_RECORD, MAX_RECORD_ID, MAX_RECORD_TYPE};
use crate::problem::{CONTENT_TYPE, FieldProblem, KEY_REUSED, Problem};
use crate::state::{Web, unavailable};
