//! Layout: names of states, slots of variables, the state graph. Knows the IR and liveness only.

use std::collections::{BTreeSet, HashMap};

use crate::ir::{AwaitId, BlockId, BlockKind, Body, Exit, Node, VarId, fragments, walk};
use crate::liveness::Liveness;
use crate::lower::fields::{DOT, PART};

/// Where everything is kept, and what it is called.
#[derive(Debug)]
pub(crate) struct Layout {
    /// By block.
    pub(crate) states: Vec<State>,
    pub(crate) slots: Vec<Slot>,
    by_var: HashMap<VarId, usize>,
    /// Between saved states, as indices into [`Layout::saved_states`].
    pub(crate) edges: BTreeSet<(usize, usize)>,
    /// The saved states from which the end can be reached without another wait.
    pub(crate) ends: BTreeSet<usize>,
}

/// A state of the machine.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) name: String,
    /// Joins are states that are left within the turn, so they are never saved.
    pub(crate) saved: bool,
}

/// Where a variable is kept between blocks.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) var: VarId,
    pub(crate) place: Place,
}

/// The place of a [`Slot`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the frame, and saved under this name. `first` is the first await it lives across.
    Saved { name: String, first: AwaitId },
    /// In the frame from the arguments to the first use.
    Argument,
    /// In a local of the step function: it lives across joins, but across no await.
    Local,
}

impl Layout {
    pub(crate) fn of(body: &Body, liveness: &Liveness, params: &[VarId]) -> Self {
        let mut layout = Self {
            states: state_names(body),
            slots: Vec::new(),
            by_var: HashMap::new(),
            edges: BTreeSet::new(),
            ends: BTreeSet::new(),
        };
        layout.add_slots(body, liveness, params);
        layout.add_edges(body);
        layout
    }

    /// The slot of a variable, if it has one.
    pub(crate) fn slot(&self, var: VarId) -> Option<(usize, &Slot)> {
        self.by_var.get(&var).map(|index| (*index, &self.slots[*index]))
    }

    /// The slots that are saved, with their positions in the frame.
    pub(crate) fn saved_slots(&self) -> impl Iterator<Item = (usize, &Slot)> {
        self.slots.iter().enumerate().filter(|(_, slot)| matches!(slot.place, Place::Saved { .. }))
    }

    /// The blocks of the states that can be saved, in source order.
    pub(crate) fn saved_states(&self) -> Vec<BlockId> {
        let saved = self.states.iter().enumerate().filter(|(_, state)| state.saved);
        saved.map(|(index, _)| BlockId(index)).collect()
    }

    fn add_slots(&mut self, body: &Body, liveness: &Liveness, params: &[VarId]) {
        let mut first_await: HashMap<VarId, AwaitId> = HashMap::new();
        let mut crossing = BTreeSet::new();
        for id in body.block_ids() {
            // A literal is written again where it is needed.
            let kept = |var: &&VarId| !body.var(**var).is_made_anew();
            let saved = liveness.live_in(id).iter().filter(kept);
            crossing.extend(saved);
            let site = match body.block(id).kind {
                BlockKind::Resume { site, .. } => site,
                BlockKind::Joined(fork) => body.fork(fork).site,
                BlockKind::Start | BlockKind::Join | BlockKind::Branch => continue,
            };
            for var in liveness.live_in(id) {
                first_await.entry(*var).or_insert(site);
            }
        }
        let mut taken: HashMap<String, usize> = HashMap::new();
        for var in crossing {
            let place = match first_await.get(&var) {
                Some(first) => {
                    Place::Saved { name: saved_name(body, var, &mut taken), first: *first }
                }
                None if params.contains(&var) => Place::Argument,
                None => Place::Local,
            };
            self.by_var.insert(var, self.slots.len());
            self.slots.push(Slot { var, place });
        }
    }

    fn add_edges(&mut self, body: &Body) {
        let saved = self.saved_states();
        for (index, block) in saved.iter().enumerate() {
            let mut seen = BTreeSet::new();
            let mut open = vec![*block];
            while let Some(block) = open.pop() {
                if !seen.insert(block) {
                    continue;
                }
                let ways = ways_out(body, block);
                open.extend(ways.jumps);
                if let BlockKind::Joined(fork) = body.block(block).kind {
                    // While it waits for its branches, these go through states of their own.
                    let branches = &body.fork(fork).branches;
                    open.extend(branches.iter().map(|branch| body.branch(*branch).start));
                }
                if ways.ends {
                    self.ends.insert(index);
                }
                for target in ways.suspends {
                    if let Some(to) = saved.iter().position(|state| *state == target) {
                        self.edges.insert((index, to));
                    }
                }
            }
        }
    }
}

struct Ways {
    jumps: Vec<BlockId>,
    suspends: Vec<BlockId>,
    ends: bool,
}

fn ways_out(body: &Body, block: BlockId) -> Ways {
    let mut ways = Ways { jumps: Vec::new(), suspends: Vec::new(), ends: false };
    walk(&body.block(block).code, &mut |node| {
        for fragment in fragments(node) {
            ways.jumps.extend(fragment.jumps.iter().map(|jump| jump.target));
            ways.ends |= fragment.returns;
        }
        match node {
            Node::Exit(Exit::Goto(target) | Exit::EndBranch { decides: Some(target), .. }) => {
                ways.jumps.push(*target);
            }
            Node::Exit(Exit::Suspend { site, .. }) => {
                ways.suspends.push(body.awaits[site.0].resume);
            }
            Node::Exit(Exit::Fork { fork, .. }) => ways.suspends.push(body.fork(*fork).joined),
            Node::Exit(Exit::EndBranch { branch, decides: None }) => {
                ways.suspends.push(body.fork(body.branch(*branch).fork).joined);
            }
            Node::Exit(Exit::Return(_)) => ways.ends = true,
            _ => {}
        }
    });
    ways
}

/// The name under which a variable is saved: its own, with a number if another variable of that
/// name is saved as well.
fn saved_name(body: &Body, var: VarId, taken: &mut HashMap<String, usize>) -> String {
    let var = body.var(var);
    let ident = var.ident.to_string();
    let base = if let Some(part) = ident.strip_prefix(PART) {
        &part.replace(DOT, ".")
    } else if var.temporary {
        let without_number = ident.trim_end_matches(|c: char| c.is_ascii_digit());
        without_number.trim_matches('_')
    } else {
        ident.trim_start_matches("r#")
    };
    let count = taken.entry(base.to_owned()).or_insert(0);
    *count += 1;
    if *count == 1 { base.to_owned() } else { format!("{base}_{count}") }
}

/// States are named after what they wait for; those that wait for the same are numbered in order
/// of appearance. Pinned names are taken as they are.
fn state_names(body: &Body) -> Vec<State> {
    let mut taken: BTreeSet<String> = body.awaits.iter().filter_map(|a| a.pinned.clone()).collect();
    taken.insert("Start".to_owned());
    let (mut joins, mut branches) = (0, 0);
    let mut names = Vec::new();
    let mut awaiting = |site: AwaitId| {
        let site = &body.awaits[site.0];
        let pinned = site.pinned.clone();
        pinned.unwrap_or_else(|| free_name(&format!("Await{}", site.subject), &mut taken))
    };
    for id in body.block_ids() {
        let (name, saved) = match body.block(id).kind {
            BlockKind::Start => ("Start".to_owned(), true),
            BlockKind::Join => {
                joins += 1;
                (format!("__Join{joins}"), false)
            }
            BlockKind::Branch => {
                branches += 1;
                (format!("__Branch{branches}"), false)
            }
            BlockKind::Resume { site, .. } => (awaiting(site), true),
            BlockKind::Joined(fork) => (awaiting(body.fork(fork).site), true),
        };
        names.push(State { name, saved });
    }
    names
}

fn free_name(base: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = base.to_owned();
    let mut number = 1;
    while !taken.insert(name.clone()) {
        number += 1;
        name = format!("{base}{number}");
    }
    name
}
