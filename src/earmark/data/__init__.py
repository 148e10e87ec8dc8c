"""Names to data sets.

digits               scikit-learn's 1,797 real handwritten digits, 8x8 grey; nothing to download
folder:PATH          PATH/train/CLASS/*.png and PATH/test/CLASS/*.png; all of one size
folder:PATH@HxW      the same, shorter side resized and centre cropped
torchvision:NAME     e.g. torchvision:CIFAR10; downloaded to --data-root
"""

from earmark.data.table import ClassificationData, Split, load_data

__all__ = ["ClassificationData", "Split", "load_data"]
