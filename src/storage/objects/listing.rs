//! Listing, page by page.

use std::cmp::Ordering;

use object_store::list::{PaginatedListOptions, PaginatedListResult};

use super::client::{Clients, meta_of};
use crate::storage::{
    AfterKey, ListEntry, ListScope, Location, ObjectMeta, Op, PageFn, Result, SchemeClass, StorageError,
    StorageErrorKind,
};

/// Lists a directory.
pub(super) fn list(
    clients: &Clients,
    directory: &Location,
    scope: ListScope,
    page: &mut PageFn<'_>,
) -> Result<()> {
    let mut listing = Listing::new(directory, scope);
    // Accounts with hierarchical namespaces list in an order of their own.
    let mut unordered = (directory.class() == SchemeClass::Azure).then(Vec::new);
    while let Some(entries) = listing.next_page(clients)? {
        match &mut unordered {
            Some(all) => all.extend(entries),
            None if !entries.is_empty() && page(entries).is_break() => return Ok(()),
            None => {}
        }
    }
    if let Some(mut all) = unordered {
        all.sort_by_cached_key(key_of);
        while !all.is_empty() {
            let rest = all.split_off(all.len().min(clients.access.page.unwrap_or(5000)));
            if page(std::mem::replace(&mut all, rest)).is_break() {
                break;
            }
        }
    }
    if listing.exists {
        return Ok(());
    }
    Err(StorageError::new(StorageErrorKind::NotFound, Op::List, directory.clone()))
}

/// Lists all objects behind a key. A store that lists in another order than that of keys, or from its first key on
/// whatever it was told, is found out: by the first page, as one that cannot do it, else as an error.
pub(super) fn list_after(
    clients: &Clients,
    directory: &Location,
    after: &str,
    page: &mut PageFn<'_>,
) -> Result<AfterKey> {
    // Azure's accounts with hierarchical namespaces list in an order of their own.
    if !matches!(directory.class(), SchemeClass::S3 | SchemeClass::Gcs) {
        return Ok(AfterKey::Unsupported);
    }
    let mut listing = Listing::new(directory, ListScope::Recursive);
    listing.ascent = Some(Ascent { begin: format!("{}{after}", listing.prefix), last: None });
    let mut is_first = true;
    loop {
        let entries = match listing.next_page(clients) {
            Ok(Some(entries)) => entries,
            Ok(None) => return Ok(AfterKey::Listed),
            Err(_) if is_first && listing.is_out_of_order => return Ok(AfterKey::Unsupported),
            Err(error) => return Err(error),
        };
        is_first = false;
        if !entries.is_empty() && page(entries).is_break() {
            return Ok(AfterKey::Listed);
        }
    }
}

/// A listing under way.
struct Listing<'a> {
    directory: &'a Location,
    scope: ListScope,
    prefix: String,
    /// What the store goes on from; none at the begin and at the end.
    token: Option<String>,
    is_over: bool,
    /// Whether anything is there.
    exists: bool,
    /// An object without bytes may be the mark of a directory: what comes next tells.
    held: Option<(Location, ObjectMeta)>,
    /// Of a listing that begins behind a key.
    ascent: Option<Ascent>,
    is_out_of_order: bool,
}

/// Where a listing in the order of keys is.
struct Ascent {
    /// The key that it begins behind.
    begin: String,
    /// The key that it is at.
    last: Option<String>,
}

impl Ascent {
    /// Whether a key is one that comes now: greater than all before it. None if it is to be passed over.
    fn accept(&mut self, key: &str, size: u64) -> Option<bool> {
        let last = self.last.as_deref().unwrap_or(&self.begin);
        match key.cmp(last) {
            Ordering::Greater => {
                self.last = Some(key.to_owned());
                Some(true)
            }
            Ordering::Equal => None,
            // The mark of a directory has a slash at its end, of which nothing is told here.
            Ordering::Less if size == 0 && *format!("{key}/") >= *last => None,
            Ordering::Less => Some(false),
        }
    }
}

impl<'a> Listing<'a> {
    fn new(directory: &'a Location, scope: ListScope) -> Self {
        let prefix = if directory.is_root() { String::new() } else { format!("{}/", directory.key()) };
        Self {
            directory,
            scope,
            prefix,
            token: None,
            is_over: false,
            exists: directory.is_root(),
            held: None,
            ascent: None,
            is_out_of_order: false,
        }
    }

    /// The entries of the next page, which may be none; nothing if there are no more pages.
    fn next_page(&mut self, clients: &Clients) -> Result<Option<Vec<ListEntry>>> {
        if self.is_over {
            return Ok(None);
        }
        let answer = self.ask(clients)?;
        let mut entries = self.entries(&answer)?;
        if answer.page_token.is_some() && answer.page_token == self.token {
            return Err(self.fail("the store gives the same page again"));
        }
        self.token = answer.page_token;
        self.is_over = self.token.is_none();
        if self.is_over
            && let Some((location, meta)) = self.held.take()
        {
            entries.push(ListEntry::Object(location, meta));
        }
        Ok(Some(entries))
    }

    fn fail(&self, message: &str) -> StorageError {
        StorageError::new(StorageErrorKind::Other, Op::List, self.directory.clone()).with_message(message)
    }

    fn ask(&self, clients: &Clients) -> Result<PaginatedListResult> {
        let offset = self.ascent.as_ref().map(|ascent| &ascent.begin).filter(|begin| **begin != self.prefix);
        let answer = clients.call(Op::List, self.directory, |client, _| {
            let delimiter = (self.scope == ListScope::Children).then(|| "/".into());
            let (page_token, offset) = (self.token.clone(), offset.cloned());
            let (prefix, max_keys) = (self.prefix.clone(), clients.access.page);
            async move {
                let Some(pages) = &client.pages else { return Ok(None) };
                let options =
                    PaginatedListOptions { delimiter, page_token, max_keys, offset, ..Default::default() };
                let prefix = (!prefix.is_empty()).then_some(prefix.as_str());
                pages.list_paginated(prefix, options).await.map(Some)
            }
        });
        clients.record(Op::List, self.directory, None, 0, answer.is_err());
        answer?.ok_or_else(|| {
            StorageError::new(StorageErrorKind::Unsupported, Op::List, self.directory.clone())
                .with_message("a web server cannot be asked what it has")
                .with_remedy("give the address of a snapshot's directory or _metadata")
        })
    }

    fn entries(&mut self, answer: &PaginatedListResult) -> Result<Vec<ListEntry>> {
        let mut entries = Vec::with_capacity(answer.result.objects.len());
        let mut objects = answer.result.objects.iter().peekable();
        let mut prefixes = answer.result.common_prefixes.iter().peekable();
        loop {
            // Both ascend; a directory's key has a slash behind it.
            let is_directory = match (objects.peek(), prefixes.peek()) {
                (None, None) => return Ok(entries),
                (object, Some(prefix)) => {
                    let key = format!("{prefix}/");
                    object.is_none_or(|object| object.location.as_ref() > key.as_str())
                }
                (Some(_), None) => false,
            };
            self.exists = true;
            let (raw, object) = if is_directory {
                (prefixes.next().map(AsRef::as_ref), None)
            } else {
                let object = objects.next();
                (object.map(|object| object.location.as_ref()), object.map(meta_of))
            };
            let raw = raw.unwrap_or_default();
            let name = raw.strip_prefix(&self.prefix);
            if name.is_none() && object.as_ref().is_some_and(|meta| meta.size == 0) {
                // The mark of the directory itself.
                continue;
            }
            if let (Some(ascent), Some(meta)) = (&mut self.ascent, &object) {
                match ascent.accept(raw, meta.size) {
                    Some(true) => {}
                    None => continue,
                    Some(false) => {
                        self.is_out_of_order = true;
                        return Err(self.fail(&format!("the store lists {raw} out of the order of keys")));
                    }
                }
            }
            let Some(location) = name.and_then(|name| self.directory.join_exact(name)) else {
                let reason = "its name holds what no address can";
                let (directory, name) = (self.directory.clone(), name.unwrap_or(raw).to_owned());
                entries.push(ListEntry::Unaddressable { directory, name, reason });
                continue;
            };
            if let Some((mark, meta)) = self.held.take()
                && !(location != mark && location.starts_with(&mark))
            {
                entries.push(ListEntry::Object(mark, meta));
            }
            match object {
                None => entries.push(ListEntry::Directory(location)),
                Some(meta) if meta.size == 0 && self.scope == ListScope::Recursive => {
                    self.held = Some((location, meta));
                }
                Some(meta) => entries.push(ListEntry::Object(location, meta)),
            }
        }
    }
}

/// What a listing is ordered by.
fn key_of(entry: &ListEntry) -> String {
    match entry {
        ListEntry::Object(location, _) => location.path().to_owned(),
        ListEntry::Directory(location) => format!("{}/", location.path()),
        ListEntry::Unaddressable { directory, name, .. } => format!("{}/{name}", directory.path()),
    }
}
