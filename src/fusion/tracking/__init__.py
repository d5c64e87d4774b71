"""What runs tell Weights & Biases, TensorBoard and MLflow. Nothing here changes a fit or a figure."""
