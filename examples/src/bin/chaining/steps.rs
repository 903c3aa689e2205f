//! The steps of the pipeline. Each reads a file and writes the next one whole, so it can be done
//! again after it was cut off at any point.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use examples::files;
use serde::{Deserialize, Serialize};

/// What is to be reported, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) text: PathBuf,
    pub(crate) report: PathBuf,
    pub(crate) top: usize,
}

impl Job {
    /// Checks the paths, so that a mistake is found before anything is recorded.
    pub(crate) fn new(text: &Path, report: &Path, top: usize) -> anyhow::Result<Self> {
        let hint = || format!("{} cannot be read: name a text file", text.display());
        let metadata = File::open(text).and_then(|file| file.metadata()).with_context(hint)?;
        ensure!(metadata.is_file(), "{} is not a file: name a text file", text.display());
        let (text, report) = (files::whole_path(text)?, files::whole_path(report)?);
        ensure!(text != report, "the report would replace the text: name another file for it");
        ensure!(!report.is_dir(), "{} is a directory: name a file in it", report.display());
        files::ensure_writable(files::folder(&report))?;
        Ok(Self { text, report, top })
    }

    /// Where the steps leave what is too large to be passed on as a value.
    pub(crate) fn work(&self) -> PathBuf {
        files::beside(&self.report, ".work")
    }

    fn words(&self) -> PathBuf {
        self.work().join("words")
    }

    fn counts(&self) -> PathBuf {
        self.work().join("counts")
    }
}

/// What is known of the text once it is cleaned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cleaned {
    pub(crate) words: u64,
    /// Of the text as it was read.
    pub(crate) hash: String,
}

/// A word, and how often it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ranked {
    pub(crate) word: String,
    pub(crate) count: u64,
}

/// The words of a text in lower case, one a line. Bytes that are not UTF-8 separate words.
pub(crate) fn clean(job: &Job) -> anyhow::Result<Cleaned> {
    let hint = || format!("reading {}", job.text.display());
    fs::create_dir_all(job.work()).with_context(|| format!("creating {}", job.work().display()))?;
    let mut text = BufReader::new(File::open(&job.text).with_context(hint)?);
    let mut hasher = blake3::Hasher::new();
    let mut words = 0;
    files::write_atomically(&job.words(), |out| {
        let mut line = Vec::new();
        while text.read_until(b'\n', &mut line).with_context(hint)? > 0 {
            hasher.update(&line);
            for word in words_of(&String::from_utf8_lossy(&line)) {
                writeln!(out, "{word}")?;
                words += 1;
            }
            line.clear();
        }
        Ok(())
    })?;
    Ok(Cleaned { words, hash: hasher.finalize().to_hex().to_string() })
}

/// Letters and digits, with apostrophes between them.
fn words_of(line: &str) -> impl Iterator<Item = String> {
    line.split(|c: char| !c.is_alphanumeric() && c != '\'')
        .map(|word| word.trim_matches('\'').to_lowercase())
        .filter(|word| !word.is_empty())
}

/// Counts each word; returns how many different ones there are.
pub(crate) fn count(job: &Job) -> anyhow::Result<u64> {
    let mut counts = BTreeMap::<String, u64>::new();
    for word in BufReader::new(open(&job.words())?).lines() {
        *counts.entry(word?).or_default() += 1;
    }
    files::write_atomically(&job.counts(), |out| {
        for (word, count) in &counts {
            writeln!(out, "{count} {word}")?;
        }
        Ok(())
    })?;
    Ok(counts.len() as u64)
}

/// The most frequent words, of equal ones the first in the alphabet.
pub(crate) fn rank(job: &Job) -> anyhow::Result<Vec<Ranked>> {
    let mut ranked = read_counts(job)?;
    ranked.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.word.cmp(&b.word)));
    ranked.truncate(job.top);
    Ok(ranked)
}

fn read_counts(job: &Job) -> anyhow::Result<Vec<Ranked>> {
    let counts = BufReader::new(open(&job.counts())?).lines();
    let parse = |line: String| {
        let (count, word) = line.split_once(' ').context("a line of the counts is damaged")?;
        Ok(Ranked { word: word.to_owned(), count: count.parse()? })
    };
    counts.map(|line| parse(line?)).collect()
}

/// A file of an earlier step. If somebody has removed it, only a new run can make it again.
fn open(path: &Path) -> anyhow::Result<File> {
    let hint = || format!("{} is gone: run the program again", path.display());
    File::open(path).with_context(hint)
}

/// Writes the report, and returns its hash.
pub(crate) fn write_report(
    job: &Job,
    cleaned: &Cleaned,
    distinct: u64,
    ranked: &[Ranked],
) -> anyhow::Result<String> {
    let mut report = format!(
        "text     {}\nblake3   {}\nwords    {}\ndistinct {distinct}\n\n",
        job.text.display(),
        cleaned.hash,
        cleaned.words
    );
    for (place, Ranked { word, count }) in (1..).zip(ranked) {
        report.push_str(&format!("{place:5} {count:9} {word}\n"));
    }
    files::write_atomically(&job.report, |out| Ok(out.write_all(report.as_bytes())?))?;
    Ok(blake3::hash(report.as_bytes()).to_hex().to_string())
}

/// Reads back what was written: the report by its hash, the counts by their sum, and the text, which
/// must be the one that was counted.
pub(crate) fn verify(job: &Job, cleaned: &Cleaned, report: &str) -> anyhow::Result<()> {
    let found = files::hash(&job.report)?;
    ensure!(found == report, "{} is not what was written to it", job.report.display());
    let sum: u64 = read_counts(job)?.iter().map(|ranked| ranked.count).sum();
    ensure!(sum == cleaned.words, "{} words were read, but {sum} counted", cleaned.words);
    if files::hash(&job.text)? != cleaned.hash {
        bail!("{} has changed meanwhile: run the program again", job.text.display());
    }
    Ok(())
}

/// Removes what the steps left for each other.
pub(crate) fn remove_work(job: &Job) -> anyhow::Result<()> {
    match fs::remove_dir_all(job.work()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
