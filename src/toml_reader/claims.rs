//! Things that may be written only once, such as the id of a rule, across all files that are read
//! together.

use std::collections::HashMap;
use std::path::PathBuf;

use super::Source;

/// Who claims which thing, and where it was written last.
#[derive(Default)]
pub(crate) struct Claims {
    by_thing: HashMap<String, Claim>,
}

struct Claim {
    owner: String,
    file: PathBuf,
    line: usize,
}

impl Claims {
    /// Notes that an owner claims a thing. Reports the thing when another owner, or the same file,
    /// claimed it before: versions of one policy are one owner and share rule ids and evidence, but
    /// each file writes them once.
    pub(crate) fn claim(&mut self, source: &mut Source<'_>, at: usize, thing: &str, owner: &str) {
        self.claim_as(source, at, thing, thing, owner);
    }

    /// Like [`Self::claim`], for a thing that diagnostics call by another name.
    pub(crate) fn claim_as(
        &mut self,
        source: &mut Source<'_>,
        at: usize,
        thing: &str,
        called: &str,
        owner: &str,
    ) {
        if let Some(claim) = self.by_thing.get(thing)
            && (claim.owner != owner || claim.file == source.file)
        {
            let (file, line) = (claim.file.display(), claim.line);
            source.report(
                at,
                format!("{called} is already in {file}:{line}; write it in one place"),
            );
            return;
        }
        let claim = Claim {
            owner: owner.to_owned(),
            file: source.file.to_owned(),
            line: source.line(at),
        };
        self.by_thing.insert(thing.to_owned(), claim);
    }
}
