"""What a network gives of a record, and the regression on it that a head starts from."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

# Of the regression on standardised embeddings. From 100 labels 0.003 to 0.03 do alike.
PENALTY = 0.01


def n_embedded(config, embedding):
    """Numbers in an embedding of a network of these sizes."""
    return config.dim * (config.n_layers if embedding == "layers" else 1)


def probe_head(head, embeddings, target, weight=None, C=PENALTY):
    """Set a head to the logistic regression on embeddings.

    Parameters
    ----------
    head : torch.nn.Linear
        n_features to n_outputs; set in place.
    embeddings : ndarray of shape (n_records, n_features)
    target : ndarray of int of shape (n_records,)
        Outputs of the head, by number.
    weight : ndarray of shape (n_records,), optional
    C : float, default=0.01
        Inverse of the penalty, in units of the standardised embeddings.

    Returns
    -------
    bool
        False, and the head is as it was, where ``target`` lacks one of the outputs.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from crtkit.neural.ecgfm.embedding import probe_head
    >>> head = torch.nn.Linear(1, 2)
    >>> probe_head(head, np.array([[5.0], [6.0], [8.0], [9.0]]), np.array([0, 0, 1, 1]))
    True
    >>> head(torch.tensor([[5.0], [9.0]])).argmax(1).tolist()
    [0, 1]
    """
    n_outputs = head.out_features
    if len(np.unique(target)) < n_outputs:
        return False
    E = np.asarray(embeddings, dtype=np.float64)
    scaler = StandardScaler().fit(E, sample_weight=weight)
    model = LogisticRegression(C=C, max_iter=1000)
    model.fit(scaler.transform(E), target, sample_weight=weight)
    slope = model.coef_ / scaler.scale_
    start = model.intercept_ - slope @ scaler.mean_
    if n_outputs == 2:  # scikit-learn has one row, the difference of the head's two
        slope, start = np.vstack([-slope, slope]) / 2, np.concatenate([-start, start]) / 2
    with torch.no_grad():
        for parameter, values in ((head.weight, slope), (head.bias, start)):
            parameter.copy_(torch.as_tensor(values))
    return True
