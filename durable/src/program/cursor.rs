//! Where a machine stands: one position, or a tree of them while branches run concurrently. Each
//! branch waits for itself; the first one that can go on does.

use std::collections::BTreeSet;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::machine::{Incompatible, States};
use crate::graph::StateGraph;
use crate::task::{Durable, Pending, Waiting};
use crate::turn::scope;

/// Ties an await to the state in which its result is taken, so that rustc infers the type.
#[doc(hidden)]
pub struct Link<P, O>(PhantomData<fn() -> (P, O)>);

impl<P, O> Clone for Link<P, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, O> Copy for Link<P, O> {}

impl<P, O> Link<P, O> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// A position as it is saved.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPosition {
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaiting: Option<Waiting>,
    /// The branches that the state waits for; `null` is one that has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<Option<SavedPosition>>,
}

/// Where a machine stands.
#[doc(hidden)]
#[derive(Debug)]
pub struct Cursor<S> {
    /// The state of the branch that runs.
    pub state: S,
    awaiting: Option<Waiting>,
    /// Which branches of the next fork take part; all, if it is empty.
    enabled: Vec<bool>,
    /// Where the branch that runs is in the tree.
    path: Vec<usize>,
    /// Only while there are branches. What it says of the branch that runs is out of date.
    root: Option<Position<S>>,
}

#[derive(Debug)]
struct Position<S> {
    state: S,
    awaiting: Option<Waiting>,
    started: bool,
    branches: Vec<Option<Position<S>>>,
}

impl<S: Copy> Cursor<S> {
    pub(super) fn new(state: S, awaiting: Option<Waiting>) -> Self {
        Self { state, awaiting, enabled: Vec::new(), path: Vec::new(), root: None }
    }

    /// Begins what `durable` describes.
    #[track_caller]
    pub fn begin<D, P, O>(&mut self, _: &Link<P, O>, durable: D)
    where
        D: Durable<Pending = P, Output = O>,
    {
        self.awaiting = Some(durable.begin());
    }

    // --- branches ---------------------------------------------------------------------------------

    /// Says which branches of the fork that follows take part.
    pub fn enable(&mut self, enabled: &[bool]) {
        self.enabled = enabled.to_vec();
    }

    /// Begins branches, and runs the first of them. `joined` is where all of them lead.
    pub fn fork(&mut self, joined: S, starts: &[S]) {
        let enabled = std::mem::take(&mut self.enabled);
        let takes_part = |index: usize| enabled.get(index).copied().unwrap_or(true);
        let branches: Vec<_> = starts
            .iter()
            .enumerate()
            .map(|(index, start)| takes_part(index).then(|| Position::of(*start, None)))
            .collect();
        self.state = joined;
        if branches.iter().all(Option::is_none) {
            return;
        }
        let node = Position { state: joined, awaiting: None, started: true, branches };
        match self.node() {
            Some(place) => *place = node,
            None => self.root = Some(node),
        }
        self.switch();
    }

    /// Ends the branch that runs. Whether there is anything left to run now.
    pub fn end_branch(&mut self) -> bool {
        let index = self.path.pop();
        let Some(fork) = self.node() else { return false };
        if let Some(branch) = index.and_then(|index| fork.branches.get_mut(index)) {
            *branch = None;
        }
        if fork.branches.iter().any(Option::is_some) {
            return self.switch();
        }
        let joined = fork.state;
        self.join(joined);
        true
    }

    /// Ends the branch that runs and with it its fork, to go on in `state`. What the other branches
    /// wait for is cancelled, or dropped as the program would drop a task.
    pub fn decide(&mut self, state: S, cancels: bool) {
        self.awaiting = None;
        let own = self.path.pop();
        if let Some(fork) = self.node() {
            for (index, branch) in fork.branches.iter().enumerate() {
                if Some(index) != own
                    && let Some(branch) = branch
                {
                    branch.for_each_wait(&mut |waiting| {
                        scope::with(|core| {
                            if cancels { waiting.cancel(core) } else { waiting.abandon(core) }
                        });
                    });
                }
            }
        }
        self.join(state);
    }

    fn join(&mut self, state: S) {
        self.state = state;
        if self.path.is_empty() {
            self.root = None;
        } else if let Some(node) = self.node() {
            node.branches.clear();
        }
    }

    /// Leaves the branch that runs for one that can go on. Whether there is one.
    pub fn switch(&mut self) -> bool {
        let (state, awaiting) = (self.state, self.awaiting.take());
        if let Some(node) = self.node()
            && node.branches.is_empty()
        {
            node.state = state;
            node.awaiting = awaiting;
        }
        self.path.clear();
        let Some(root) = &mut self.root else { return false };
        if scope::with(|core| core.next_run.is_some()) {
            // A branch has ended the run: what the others have is nobody's any more.
            return false;
        }
        match root.find_runnable(&mut self.path) {
            Some(leaf) => {
                leaf.started = true;
                self.state = leaf.state;
                self.awaiting = leaf.awaiting.take();
                true
            }
            None => {
                self.state = root.state;
                false
            }
        }
    }

    /// Whether the machine can run: if it has branches, one of them must be able to.
    pub(super) fn resume(&mut self) -> bool {
        self.root.is_none() || self.switch()
    }

    /// The position of the branch that runs.
    fn node(&mut self) -> Option<&mut Position<S>> {
        let mut node = self.root.as_mut()?;
        for index in &self.path {
            node = node.branches.get_mut(*index)?.as_mut()?;
        }
        Some(node)
    }

    // --- between turns ----------------------------------------------------------------------------

    /// What the machine waits for, if it has no branches.
    pub(super) fn awaiting(&self) -> Option<&Waiting> {
        self.awaiting.as_ref()
    }

    /// Calls `f` with everything that is waited for.
    pub(super) fn for_each_wait(&self, f: &mut dyn FnMut(&Waiting)) {
        match &self.root {
            Some(root) => root.for_each_wait(f),
            None => self.awaiting.iter().for_each(f),
        }
    }
}

impl<S: States> Cursor<S> {
    /// The branches, to be saved.
    pub(super) fn branches(&self, graph: &StateGraph) -> Vec<Option<SavedPosition>> {
        self.root.as_ref().map(|root| root.save(graph).branches).unwrap_or_default()
    }

    /// The variables that are alive in any of the positions, if there are several.
    pub(super) fn alive(&self, graph: &StateGraph) -> Option<BTreeSet<usize>> {
        let mut alive = BTreeSet::new();
        self.root.as_ref()?.alive(graph, &mut alive);
        Some(alive)
    }

    /// A cursor at a saved position.
    pub(super) fn load(saved: &SavedPosition, graph: &StateGraph) -> Result<Self, Incompatible> {
        let root = Position::<S>::load(saved, graph, None)?;
        if root.branches.is_empty() {
            return Ok(Self::new(root.state, root.awaiting));
        }
        Ok(Self { state: root.state, root: Some(root), ..Self::new(S::ALL[0], None) })
    }
}

/// The output of what was begun, once it is there.
#[doc(hidden)]
pub fn poll<S, P, O>(cursor: &mut Cursor<S>, _: Link<P, O>) -> Option<O>
where
    P: Pending<Output = O>,
{
    if !is_ready(cursor.awaiting.as_ref()) {
        return None;
    }
    cursor.awaiting.take().map(|waiting| P::take(&waiting))
}

fn is_ready(waiting: Option<&Waiting>) -> bool {
    waiting.is_some_and(|waiting| scope::with(|core| waiting.is_ready(core)))
}

impl<S: Copy> Position<S> {
    fn of(state: S, awaiting: Option<Waiting>) -> Self {
        Self { state, awaiting, started: false, branches: Vec::new() }
    }

    /// The first branch that has not begun or has what it waits for.
    fn find_runnable(&mut self, path: &mut Vec<usize>) -> Option<&mut Self> {
        if self.branches.is_empty() {
            let runs = !self.started || is_ready(self.awaiting.as_ref());
            return runs.then_some(self);
        }
        for (index, branch) in self.branches.iter_mut().enumerate() {
            let Some(branch) = branch else { continue };
            path.push(index);
            if let Some(leaf) = branch.find_runnable(path) {
                return Some(leaf);
            }
            path.pop();
        }
        None
    }

    fn for_each_wait(&self, f: &mut dyn FnMut(&Waiting)) {
        self.awaiting.iter().for_each(&mut *f);
        for branch in self.branches.iter().flatten() {
            branch.for_each_wait(f);
        }
    }
}

impl<S: States> Position<S> {
    fn save(&self, graph: &StateGraph) -> SavedPosition {
        SavedPosition {
            state: graph.states[self.state.index()].name.to_owned(),
            awaiting: self.awaiting.clone(),
            branches: self
                .branches
                .iter()
                .map(|branch| branch.as_ref().map(|branch| branch.save(graph)))
                .collect(),
        }
    }

    fn alive(&self, graph: &StateGraph, alive: &mut BTreeSet<usize>) {
        let node = &graph.states[self.state.index()];
        alive.extend(node.live);
        for (branch, result) in self.branches.iter().zip(node.branches) {
            match branch {
                Some(branch) => branch.alive(graph, alive),
                None => alive.extend(result),
            }
        }
    }

    fn load(
        saved: &SavedPosition,
        graph: &StateGraph,
        within: Option<(usize, usize)>,
    ) -> Result<Self, Incompatible> {
        let Some(index) = graph.position(&saved.state) else {
            return Err(Incompatible::UnknownState { state: saved.state.clone() });
        };
        let node = &graph.states[index];
        if node.within != within || node.branches.len() != saved.branches.len() {
            return Err(Incompatible::OtherBranches { state: node.name });
        }
        let branches = saved.branches.iter().enumerate().map(|(number, branch)| {
            let branch = branch.as_ref();
            branch.map(|branch| Self::load(branch, graph, Some((index, number)))).transpose()
        });
        Ok(Self {
            state: S::ALL[index],
            awaiting: saved.awaiting.clone(),
            started: true,
            branches: branches.collect::<Result<_, _>>()?,
        })
    }
}
