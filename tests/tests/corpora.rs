//! What fuzzing has found, through the same functions, without a fuzzer.
//!
//! A failure: a target that panics on a file of its corpus, one without a corpus, a corpus without a target.

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a library of its own elsewhere")]
mod fuzz;

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, ensure};

#[test]
fn every_file_of_the_corpora_passes_its_target() -> Result<()> {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut names = BTreeSet::new();
    for corpus in fs::read_dir(&corpora).context("the corpora")? {
        let corpus = corpus?;
        let name = corpus.file_name().to_string_lossy().into_owned();
        let (mut files, mut bytes) = (0, 0);
        for file in fs::read_dir(corpus.path())? {
            let path = file?.path();
            let seed = fs::read(&path)?;
            // Told if it panics.
            eprintln!("{}", path.display());
            fuzz::run(&name, &seed);
            files += 1;
            bytes += seed.len();
        }
        ensure!(files > 0, "the corpus {name} is empty");
        ensure!(bytes <= 32 * 1024, "the corpus {name} has {bytes} bytes: keep it small");
        names.insert(name);
    }
    let targets: BTreeSet<_> = fuzz::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    ensure!(names == targets, "corpora: {names:?}, targets: {targets:?}");
    Ok(())
}
