//! Liveness: which variables are needed from where on. A backward dataflow over the blocks; knows
//! the IR only.

use std::collections::BTreeSet;

use crate::ir::{BlockId, BlockKind, Body, BranchId, Exit, ForkId, Fragment, Node, Seq, VarId};

/// The variables alive where each block begins.
#[derive(Debug)]
pub(crate) struct Liveness {
    live_in: Vec<BTreeSet<VarId>>,
}

/// A way from one block to others.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    Goto(BlockId),
    Fork(ForkId),
    EndBranch { branch: BranchId, decides: Option<BlockId> },
}

impl Liveness {
    /// Solves the dataflow to its fixed point.
    pub(crate) fn of(body: &Body) -> Self {
        let mut liveness = Self { live_in: vec![BTreeSet::new(); body.blocks.len()] };
        let mut changed = true;
        while changed {
            changed = false;
            for id in body.block_ids().rev() {
                let live = liveness.at_block(body, id);
                if live != liveness.live_in[id.0] {
                    liveness.live_in[id.0] = live;
                    changed = true;
                }
            }
        }
        liveness
    }

    /// What is alive on the way out of a block. Where branches begin or end this is what follows
    /// in the same branch: see [`Liveness::beside`] for the others.
    pub(crate) fn on_way(&self, body: &Body, way: Way) -> BTreeSet<VarId> {
        match way {
            Way::Goto(target) | Way::EndBranch { decides: Some(target), .. } => {
                self.live_in(target).clone()
            }
            Way::Fork(fork) => {
                let starts = body.fork(fork).branches.iter().map(|b| body.branch(*b).start);
                starts.flat_map(|start| self.live_in(start)).copied().collect()
            }
            Way::EndBranch { branch, decides: None } => {
                let fork = body.fork(body.branch(branch).fork);
                let mut live = self.live_in(fork.joined).clone();
                for other in fork.branches.iter().filter(|other| **other != branch) {
                    if let Some(result) = body.branch(*other).result {
                        live.remove(&result);
                    }
                }
                live
            }
        }
    }

    /// What the branches beside `branch`, and beside those around it, may need.
    pub(crate) fn beside(&self, body: &Body, branch: Option<BranchId>) -> BTreeSet<VarId> {
        let mut needed = BTreeSet::new();
        let mut at = branch;
        while let Some(branch) = at {
            let others = &body.fork(body.branch(branch).fork).branches;
            for other in others.iter().filter(|other| **other != branch) {
                needed.extend(self.live_in(body.branch(*other).start));
            }
            at = body.branch(branch).outer;
        }
        needed
    }

    /// What a fork has alive in any of its branches.
    pub(crate) fn in_branches(&self, body: &Body, fork: ForkId) -> BTreeSet<VarId> {
        let inside = |id: &BlockId| {
            let branch = body.block(*id).branch;
            body.fork(fork).branches.iter().any(|outer| body.is_within(branch, *outer))
        };
        body.block_ids().filter(inside).flat_map(|id| self.live_in(id)).copied().collect()
    }

    /// What is alive where the block begins.
    pub(crate) fn live_in(&self, block: BlockId) -> &BTreeSet<VarId> {
        &self.live_in[block.0]
    }

    fn at_block(&self, body: &Body, id: BlockId) -> BTreeSet<VarId> {
        let block = body.block(id);
        let mut live = self.before_seq(body, &block.code, BTreeSet::new());
        if let BlockKind::Resume { result, .. } = block.kind {
            live.remove(&result);
        }
        // A guard is needed to the end of its scope, whatever is mentioned there.
        let open = block.scopes.iter().flat_map(|scope| &scope.vars);
        live.extend(open.copied().filter(|var| body.var(*var).guard));
        live
    }

    fn before_seq(&self, body: &Body, seq: &Seq, after: BTreeSet<VarId>) -> BTreeSet<VarId> {
        seq.iter().rev().fold(after, |live, node| self.before_node(body, node, live))
    }

    fn before_node(&self, body: &Body, node: &Node, mut live: BTreeSet<VarId>) -> BTreeSet<VarId> {
        match node {
            Node::Begin(_) | Node::End(_) => {}
            Node::Declare { var } => {
                live.remove(var);
            }
            Node::Code(fragment) => self.fragment(fragment, &mut live),
            Node::Assign { var, value } => {
                live.remove(var);
                self.fragment(value, &mut live);
            }
            Node::Let(binding) => {
                remove_all(&mut live, &binding.binds);
                if let Some(otherwise) = &binding.otherwise {
                    live.extend(self.before_seq(body, otherwise, BTreeSet::new()));
                }
                self.fragment(&binding.init, &mut live);
            }
            Node::If { condition, binds, then, otherwise } => {
                let mut both = self.before_seq(body, then, live.clone());
                remove_all(&mut both, binds);
                both.extend(self.before_seq(body, otherwise, live));
                live = both;
                self.fragment(condition, &mut live);
            }
            Node::Match { scrutinee, arms } => {
                let mut any = BTreeSet::new();
                for arm in arms {
                    let mut arm_live = self.before_seq(body, &arm.code, live.clone());
                    if let Some(guard) = &arm.guard {
                        self.fragment(guard, &mut arm_live);
                    }
                    remove_all(&mut arm_live, &arm.binds);
                    any.extend(arm_live);
                }
                live = any;
                self.fragment(scrutinee, &mut live);
            }
            Node::Exit(exit) => live = self.before_exit(body, exit),
        }
        live
    }

    fn before_exit(&self, body: &Body, exit: &Exit) -> BTreeSet<VarId> {
        match exit {
            Exit::Goto(target) => self.on_way(body, Way::Goto(*target)),
            Exit::EndBranch { branch, decides } => {
                self.on_way(body, Way::EndBranch { branch: *branch, decides: *decides })
            }
            Exit::Fork { fork, enabled } => {
                let mut live = self.on_way(body, Way::Fork(*fork));
                enabled.iter().flatten().rev().for_each(|c| self.fragment(c, &mut live));
                live
            }
            Exit::Suspend { site, call } => {
                let mut live = self.live_in(body.awaits[site.0].resume).clone();
                self.fragment(call, &mut live);
                live
            }
            Exit::Return(value) => {
                let mut live = BTreeSet::new();
                self.fragment(value, &mut live);
                live
            }
        }
    }

    fn fragment(&self, fragment: &Fragment, live: &mut BTreeSet<VarId>) {
        // What the fragment assigns on the way is not needed before it.
        match &fragment.defines {
            Some(defines) => live.retain(|var| !defines.contains(var)),
            None => live.clear(),
        }
        for jump in &fragment.jumps {
            if let Some(defines) = &jump.defines {
                live.extend(self.live_in(jump.target).difference(defines));
            }
        }
        live.extend(&fragment.uses);
    }
}

fn remove_all(live: &mut BTreeSet<VarId>, vars: &[VarId]) {
    for var in vars {
        live.remove(var);
    }
}
